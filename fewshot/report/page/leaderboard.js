// All cells that pass the filters, best first; a row chosen here is what the details are about.
function leaderboardSort(columns) {
  const main = columns.find((column) => column.key === `measure:${currentMeasure()}`);
  const own = columns.find((column) => column.key === state.sort && column.value);
  if (!own) return { key: main.key, descending: main.better === "higher" };
  return { key: own.key, descending: state.order === "down" };
}

function drawLeaderboard(body) {
  const narrow = body.clientWidth < NARROW;
  const columns = leaderboardColumns(narrow);
  const sort = leaderboardSort(columns);
  const table = make("tbody");
  const head = sortHead([{ key: "number", title: "#" }, ...columns], sort, (column) => {
    const next = nextSort(leaderboardSort(columns), column);
    change("sort", { sort: next.key, order: next.descending ? "down" : "up" });
    markSorted(head, next);
    fill();
  });
  const ordered = () => {
    const now = leaderboardSort(columns);
    return sortedRows(
      shownCells(),
      columns.find((one) => one.key === now.key),
      now.descending,
    );
  };
  const fill = () => {
    fillRows(table, ordered(), FIRST_ROWS, (cell, i) => leaderboardRow(cell, i, columns));
    oneTabStop(table);
  };
  replace(
    body,
    leaderboardTools(columns, ordered),
    make(
      "div",
      null,
      put(
        scrolling("Leaderboard", make("table", { class: `leaderboard${narrow ? " phone" : ""}` }, head, table)),
        { class: "scroll tall" },
        [],
      ),
      make("div", { class: "rows-more", hidden: true }),
    ),
    make(
      "p",
      { class: "caption" },
      `± is half the ${levelText()} interval for other `,
      make("b", null, populationName(currentPopulation())),
      narrow ? null : ". The pictures of intervals share a scale, from the lowest to the highest end of these rows",
      ". A row's number shows its details below; arrow keys go from row to row.",
    ),
  );
  table.addEventListener("keydown", (event) =>
    arrows(event, [...table.querySelectorAll("button")], ["ArrowUp", "ArrowDown"]),
  );
  fill();
  if (!shownCells().length)
    table.append(
      make(
        "tr",
        null,
        make("td", { class: "left", colspan: columns.length + 1 }, "No cell passes the filters."),
      ),
    );
}

function leaderboardRow(cell, i, columns) {
  const take = () => change("cell", { cell: cell.id, estimator: "" });
  const button = make(
    "button",
    { type: "button", "aria-label": `Details of ${fullPlace(cell)}`, click: take },
    i + 1,
  );
  const row = make(
    "tr",
    {
      "data-cell": cell.id,
      click: (event) => {
        // A click that ends a selection of text is none on the row.
        if (event.target !== button && !String(getSelection())) take();
      },
    },
    make("td", null, button),
    columns.map((column) => column.fill(cell)),
  );
  markRow(row);
  return row;
}

function markRow(row) {
  const yes = row.dataset.cell === selectedCell()?.id;
  row.classList.toggle("chosen", yes);
  row.querySelector("button").setAttribute("aria-pressed", String(yes));
}

function oneTabStop(table) {
  const buttons = [...table.querySelectorAll("button")];
  const entry = buttons.find((one) => one.getAttribute("aria-pressed") === "true") ?? buttons[0];
  for (const one of buttons) one.tabIndex = one === entry ? 0 : -1;
}

function remarkLeaderboard(body) {
  const table = body.querySelector(".leaderboard tbody");
  if (!table) return;
  table.querySelectorAll("tr[data-cell]").forEach(markRow);
  oneTabStop(table);
  const link = body.querySelector(".chosen-link");
  if (link) replace(link, chosenLink());
}

function chosenLink() {
  const details =
    sections.find((one) => ["scatter", "clouds"].includes(one.id) && !one.node.hidden) ??
    sections.find((one) => one.id === "made");
  if (!details || !selectedCell() || shownCells().length < 2) return [];
  return [
    "Details of ",
    make(
      "a",
      { href: `#${details.id}`, click: (event) => jump(event, details) },
      named(fullPlace(selectedCell())),
    ),
  ];
}

function leaderboardTools(columns, ordered) {
  const names = measureNames();
  const ats = parts();
  const view = (name) => (value) => change("view", { [name]: value });
  const exported = columns.flatMap((column) => column.export);
  return make(
    "div",
    { class: "row" },
    populations().length > 1 &&
      chooser(
        "± for other",
        populations().map((one) => [one, populationName(one)]),
        currentPopulation(),
        view("population"),
      ),
    names.length > 1 &&
      chooser(
        "Measure",
        names.map((one) => [one, measureName(one)]),
        currentMeasure(),
        (measure) => change("view", { measure, sort: "", order: "" }),
      ),
    ats.length > 1 &&
      chooser(
        task().parts?.title ?? "Part",
        ats.map((at) => [at, task().parts?.percent ? `${percent(at, 0)} %` : String(at)]),
        currentAt(),
        view("at"),
      ),
    make("span", { class: "soft chosen-link" }, chosenLink()),
    make(
      "button",
      {
        type: "button",
        class: "right",
        click: () =>
          download(
            "leaderboard.csv",
            "text/csv",
            csv([
              exported.map((one) => one[0]),
              ...ordered().map((cell) => exported.map((one) => one[1](cell))),
            ]),
          ),
      },
      "Save CSV",
    ),
  );
}

section("leaderboard", "Leaderboard", {
  draw: drawLeaderboard,
  remark: remarkLeaderboard,
});
