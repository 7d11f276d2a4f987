// A row of tabs, one per estimator: one tab stop, arrow keys change it.
function tabs(label, names, current, shown, panel) {
  const buttons = names.map((name) =>
    make(
      "button",
      {
        type: "button",
        role: "tab",
        "aria-selected": String(name === current),
        tabindex: name === current ? 0 : -1,
        click: () => show(name),
      },
      shown(name),
    ),
  );
  const list = make(
    "div",
    {
      role: "tablist",
      "aria-label": label,
      keydown: (event) => arrows(event, buttons)?.click(),
    },
    buttons,
  );
  const content = make("div", { role: "tabpanel" });
  const show = (name) => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(names[i] === name));
      button.tabIndex = names[i] === name ? 0 : -1;
    });
    content.setAttribute("aria-label", shown(name));
    panel(name, content);
  };
  show(current);
  return [list, content];
}
