// The bar of filters that stays in view; it acts on everything below.
function filterBar(host) {
  const bar = make("div", { class: "filters", role: "search", "aria-label": "Filters" });
  const kinds = FILTERS.filter((name) => several(taskCells(), name));
  if (payload.cells.length < 2) return replace(host);
  const fold = make(
    "button",
    {
      type: "button",
      class: "fold",
      "aria-expanded": "false",
      click: () => fold.setAttribute("aria-expanded", String(bar.classList.toggle("open"))),
    },
    "Filters",
  );
  const count = make("span", { class: "count", role: "status" });
  const clear = make("button", { type: "button", class: "plain", click: clearFilters }, "Clear");
  const choices = make("div", { class: "choices" }, kinds.map(choiceOf));
  put(bar, null, [taskChooser(), searchField(), fold, choices, clear, count]);
  replace(host, bar);
  bar.refresh = () => {
    const number = shownCells().length;
    const active = kinds.filter((name) => state.chosen[name].size).length;
    count.textContent = `${whole(number)} of ${plural(taskCells().length, "cell")}`;
    clear.hidden = !active && !state.search;
    fold.textContent = active ? `Filters (${active})` : "Filters";
    for (const choice of choices.children) choice.refresh();
    const field = bar.querySelector("input[type=search]");
    if (document.activeElement !== field) field.value = state.search;
  };
  bar.refresh();
  return bar;
}

function clearFilters() {
  change("filter", {
    search: "",
    chosen: Object.fromEntries(FILTERS.map((name) => [name, new Set()])),
  });
  document.querySelector("#filters input[type=search]").focus();
}

function taskChooser() {
  if (tasks.length < 2) return null;
  return chooser(
    "Task",
    tasks.map((name) => [name, payload.tasks[name].title]),
    state.task,
    (name) => change("task", { task: name, measure: "", at: "", sort: "", order: "" }),
    true,
  );
}

function searchField() {
  let waiting = 0;
  return make("input", {
    type: "search",
    placeholder: "Search names",
    "aria-label": "Search names",
    value: state.search,
    input: (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => change("filter", { search: event.target.value.trim() }), 120);
    },
  });
}

// A button that opens a list of boxes to tick.
function choiceOf(name) {
  const values = unique(taskCells().map((cell) => cell[name])).sort(byText);
  const boxes = values.map((value) =>
    make("input", {
      type: "checkbox",
      value: String(value),
      change: () =>
        choose(
          name,
          boxes.filter((box) => box.checked).map((box) => box.value),
        ),
    }),
  );
  const options = make(
    "div",
    { class: "options", role: "group", "aria-label": NAMES[name], hidden: true },
    boxes.map((box, i) => make("label", null, box, named(values[i] ?? "none"))),
  );
  const button = make("button", {
    type: "button",
    "aria-expanded": "false",
    click: () => open(options.hidden),
  });
  const open = (yes) => {
    options.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
  };
  const holder = make(
    "div",
    {
      class: "choice",
      keydown: (event) => {
        if (event.key !== "Escape" || options.hidden) return;
        open(false);
        button.focus();
      },
      focusout: (event) => {
        if (event.relatedTarget && !holder.contains(event.relatedTarget)) open(false);
      },
    },
    button,
    options,
  );
  document.addEventListener("pointerdown", (event) => holder.contains(event.target) || open(false));
  holder.refresh = () => {
    const chosen = state.chosen[name];
    for (const box of boxes) box.checked = chosen.has(box.value);
    button.classList.toggle("active", chosen.size > 0);
    button.textContent = chosen.size
      ? `${NAMES[name]}: ${chosen.size} of ${values.length}`
      : NAMES[name];
  };
  holder.refresh();
  return holder;
}

// A labelled list of which one is chosen.
function chooser(label, options, value, chosen, quiet = false) {
  const list = make(
    "select",
    { "aria-label": quiet ? label : null, change: () => chosen(list.value) },
    options.map(([key, text]) =>
      make("option", { value: String(key), selected: String(key) === String(value) }, text),
    ),
  );
  return quiet ? list : make("label", null, label, list);
}
