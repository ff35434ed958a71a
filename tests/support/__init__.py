"""What integration and acceptance tests share: servers, sites (an application's own corner of them), processes."""
