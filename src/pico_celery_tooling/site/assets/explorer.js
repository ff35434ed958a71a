// Search, theme and copying. All else is in the pages, and is there without this script.
(function () {
  "use strict";

  var STORED = "pico-celery-docs-theme";
  var MOST = 12;
  var root = document.body.getAttribute("data-root") || "";

  // Theme

  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var button = document.getElementById("theme");

  function isDark() {
    var chosen = document.documentElement.getAttribute("data-theme");
    return chosen ? chosen === "dark" : dark.matches;
  }

  function showTheme() {
    button.setAttribute("aria-pressed", String(isDark()));
  }

  button.addEventListener("click", function () {
    var chosen = isDark() ? "light" : "dark";
    document.documentElement.setAttribute("data-theme", chosen);
    try {
      window.localStorage.setItem(STORED, chosen);
    } catch (error) {
      // It lasts as long as the page, then.
    }
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  button.hidden = false;
  showTheme();

  // Search

  var entries = window.contractEntries || [];
  var box = document.getElementById("search-box");
  var field = document.getElementById("search");
  var list = document.getElementById("found");
  var count = document.getElementById("found-count");
  var chosen = -1;

  function score(entry, words) {
    var name = entry.name.toLowerCase();
    var more = entry.words.toLowerCase();
    var text = entry.text.toLowerCase();
    var total = 0;
    for (var i = 0; i < words.length; i += 1) {
      var word = words[i];
      var at = name.indexOf(word);
      if (name === word) {
        total += 100;
      } else if (name.split(/[._ -]/).indexOf(word) >= 0) {
        total += 80;
      } else if (at === 0) {
        total += 60;
      } else if (at > 0 && /[._ -]/.test(name[at - 1])) {
        total += 50;
      } else if (at > 0) {
        total += 30;
      } else if (more.indexOf(word) >= 0) {
        total += 15;
      } else if (text.indexOf(word) >= 0) {
        total += 5;
      } else {
        return 0;
      }
    }
    return total + { task: 30, contract: 25, error: 15, model: 0 }[entry.kind] - (entry.gone ? 10 : 0);
  }

  function find(query) {
    var words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) {
      return [];
    }
    return entries
      .map(function (entry) {
        return { entry: entry, score: score(entry, words) };
      })
      .filter(function (found) {
        return found.score > 0;
      })
      .sort(function (one, other) {
        return other.score - one.score || (one.entry.name < other.entry.name ? -1 : 1);
      });
  }

  function part(kind, text, name) {
    var element = document.createElement(kind);
    element.textContent = text;
    element.className = name;
    return element;
  }

  function show() {
    var found = find(field.value);
    list.replaceChildren();
    chosen = found.length ? 0 : -1;
    found.slice(0, MOST).forEach(function (one, index) {
      var item = document.createElement("li");
      var link = document.createElement("a");
      item.id = "found-" + index;
      item.setAttribute("role", "option");
      link.href = root + one.entry.path;
      link.tabIndex = -1;
      link.append(
        part("span", one.entry.kind, "kind"),
        part("span", one.entry.name, "hit"),
        part("span", one.entry.text, "about")
      );
      item.append(link);
      list.append(item);
    });
    if (!found.length && field.value.trim()) {
      list.append(part("li", "Nothing found", "nothing"));
    }
    var open = Boolean(field.value.trim());
    list.hidden = !open;
    field.setAttribute("aria-expanded", String(open));
    count.textContent = open ? found.length + " found" : "";
    mark();
  }

  function mark() {
    var options = list.querySelectorAll("[role=option]");
    options.forEach(function (option, index) {
      option.setAttribute("aria-selected", String(index === chosen));
    });
    if (options[chosen]) {
      field.setAttribute("aria-activedescendant", options[chosen].id);
      options[chosen].scrollIntoView({ block: "nearest" });
    } else {
      field.removeAttribute("aria-activedescendant");
    }
  }

  function close() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  field.addEventListener("input", show);
  field.addEventListener("focus", function () {
    if (field.value) {
      show();
    }
  });
  field.addEventListener("keydown", function (event) {
    var options = list.querySelectorAll("[role=option]");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (options.length) {
        chosen = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length;
        mark();
      }
      event.preventDefault();
    } else if (event.key === "Enter" && options[chosen] && !list.hidden) {
      event.preventDefault();
      options[chosen].querySelector("a").click();
    } else if (event.key === "Escape") {
      field.value = "";
      close();
      field.blur();
    }
  });
  list.addEventListener("click", close);
  document.addEventListener("click", function (event) {
    if (!box.contains(event.target)) {
      close();
    }
  });
  box.addEventListener("focusout", function (event) {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) {
      close();
    }
  });
  document.addEventListener("keydown", function (event) {
    var target = event.target;
    var typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
  box.hidden = false;

  // Copying

  if (navigator.clipboard) {
    document.querySelectorAll("figure > pre, .schema > pre").forEach(function (block) {
      var copy = part("button", "Copy", "copy");
      copy.type = "button";
      copy.setAttribute("aria-label", "Copy: " + block.getAttribute("aria-label"));
      copy.addEventListener("click", function () {
        navigator.clipboard.writeText(block.textContent).then(
          function () {
            copy.textContent = "Copied";
            window.setTimeout(function () {
              copy.textContent = "Copy";
            }, 1500);
          },
          function () {
            copy.textContent = "Not allowed";
          }
        );
      });
      block.before(copy);
    });
  }
})();
