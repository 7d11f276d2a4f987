// Tables whose columns are sorted by the buttons in their heads.
// Column: {key, title, unit, left, value: row -> sortable, fill: row -> <td> or <th>, better}
function sortedRows(rows, column, descending) {
  const sign = descending ? -1 : 1;
  const compare = (a, b) => {
    const [first, second] = [column.value(a), column.value(b)];
    const [none, nothing] = [first, second].map(
      (one) => one === null || one === undefined || Number.isNaN(one),
    );
    // What is missing comes last, whichever way.
    if (none || nothing) return none - nothing;
    return sign * (typeof first === "number" ? first - second : byText(first, second));
  };
  return [...rows].sort(compare);
}

function sortHead(columns, sort, resort) {
  const heads = columns.map((column) => {
    if (!column.value)
      return make("th", { scope: "col", class: column.left && "left" }, column.title);
    const button = make("button", { type: "button", click: () => resort(column) }, column.title);
    const direction = column.key === sort.key && (sort.descending ? "descending" : "ascending");
    return make(
      "th",
      {
        scope: "col",
        class: column.left && "left",
        "aria-sort": direction,
        "data-key": column.key,
      },
      button,
      column.unit && make("small", null, column.unit),
    );
  });
  return make("thead", null, make("tr", null, heads));
}

function markSorted(head, sort) {
  for (const th of head.querySelectorAll("th[data-key]")) {
    if (th.dataset.key === sort.key)
      th.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  }
}

// Sorting the same column again turns the order round; a new one begins with its better end.
function nextSort(sort, column) {
  const usual = column.better === "higher";
  return { key: column.key, descending: sort.key === column.key ? !sort.descending : usual };
}

const FIRST_ROWS = 100;

// The beginning of a long table and a button for the rest of it.
function fillRows(body, rows, first, rowOf) {
  const foot = body.closest(".scroll").parentNode.querySelector(".rows-more");
  replace(body, rows.slice(0, first).map(rowOf));
  replace(foot);
  foot.hidden = rows.length <= first;
  if (foot.hidden) return;
  foot.append(
    `${whole(first)} of ${whole(rows.length)} rows. `,
    make(
      "button",
      {
        type: "button",
        click: () => {
          const there = body.children.length;
          body.append(...rows.slice(there).map((row, i) => rowOf(row, there + i)));
          foot.hidden = true;
          body.children[there].querySelector("button")?.focus();
        },
      },
      "Show all",
    ),
  );
}

// A sortable table on its own, for everything but the leaderboard.
function sortableTable(label, columns, rows, first = FIRST_ROWS, start = null) {
  let sort = start ?? { key: null, descending: false };
  const body = make("tbody");
  const draw = () => {
    const column = columns.find((one) => one.key === sort.key);
    fillRows(body, column ? sortedRows(rows, column, sort.descending) : rows, first, (row) =>
      make(
        "tr",
        null,
        columns.map((one) => one.fill(row)),
      ),
    );
  };
  const head = sortHead(columns, sort, (column) => {
    sort = nextSort(sort, column);
    markSorted(head, sort);
    draw();
  });
  const holder = make(
    "div",
    null,
    scrolling(label, make("table", { class: "stuck" }, head, body)),
    make("div", { class: "rows-more", hidden: true }),
  );
  draw();
  return holder;
}
