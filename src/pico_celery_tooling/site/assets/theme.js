// The chosen theme, before anything is painted. Without a choice it is that of the system.
(function () {
  "use strict";
  try {
    var chosen = window.localStorage.getItem("pico-celery-docs-theme");
    if (chosen === "light" || chosen === "dark") {
      document.documentElement.setAttribute("data-theme", chosen);
    }
  } catch (error) {
    // Storage may be switched off: the system's theme it is.
  }
})();
