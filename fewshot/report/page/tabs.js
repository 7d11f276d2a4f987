// A row of tabs, one per estimator: one tab stop, arrow keys change it.
// `group`: from a name to the title of a group that begins with it, or null.
function tabs(label, names, current, shown, panel, group = () => null) {
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
    buttons.map((button, i) => [
      group(names[i]) &&
        make("span", { class: "tab-group", role: "presentation" }, group(names[i])),
      button,
    ]),
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
