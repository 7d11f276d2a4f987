// Accuracy of every class of the selected cell, worst first, and what is taken for what.
const MATRIX_CLASSES = 30;
const FIRST_PAIRS = 15;
const confusionOf = (cell) => {
  const own = cell?.details?.confusion;
  if (!own) return null;
  const rows = own.classes.map(([name, episodes, queries, value, lower, upper]) =>
    ({ name: sharedValue(name), episodes, queries, value, lower, upper }));
  const pairs = own.pairs.map(([from, to, queries, chances]) =>
    ({ from: sharedValue(from), to: sharedValue(to), queries, chances, share: queries / chances }));
  return { total: own.total, rows, pairs };
};

function classColumns() {
  const count = (key, title) =>
    ({ key, title, better: "higher", value: (row) => row[key], fill: (row) => cellOf(whole(row[key])) });
  return [
    {
      key: "name",
      title: "Class",
      left: true,
      value: (row) => row.name,
      fill: (row) => make("th", { scope: "row", class: "left name" }, named(row.name)),
    },
    {
      key: "value",
      title: "Accuracy",
      unit: `%, ${levelText()} interval`,
      better: "higher",
      value: (row) => row.value,
      fill: (row) =>
        make(
          "td",
          { class: "main" },
          percent(row.value),
          known(row.lower) &&
            make("span", { class: "pm" }, ` (${percent(row.lower)} to ${percent(row.upper)})`),
        ),
    },
    { key: "picture", title: hiddenWord("As a picture, from 0 to 100 %"), fill: partPicture },
    count("episodes", "Episodes"),
    count("queries", "Queries"),
  ];
}

const pairColumns = () => [
  {
    key: "from",
    title: "Class",
    left: true,
    value: (row) => row.from,
    fill: (row) => make("th", { scope: "row", class: "left name" }, named(row.from)),
  },
  {
    key: "to",
    title: "Taken for",
    left: true,
    value: (row) => row.to,
    fill: (row) => make("td", { class: "left name" }, named(row.to)),
  },
  {
    key: "share",
    title: "Share",
    unit: "% of its queries",
    better: "higher",
    value: (row) => row.share,
    fill: (row) => make("td", { class: "main" }, percent(row.share)),
  },
  {
    key: "queries",
    title: "Queries",
    better: "higher",
    value: (row) => row.queries,
    fill: (row) => cellOf(`${whole(row.queries)} of ${whole(row.chances)}`),
  },
];

function confusionMatrix({ rows, pairs }) {
  const names = rows.map((row) => row.name).sort(byText);
  const shares = new Map(pairs.map((one) => [JSON.stringify([one.from, one.to]), one]));
  const right = new Map(rows.map((row) => [row.name, row.value]));
  const field = (from, to) => {
    const one = shares.get(JSON.stringify([from, to]));
    const share = from === to ? right.get(from) : one?.share;
    if (!known(share)) return make("td");
    const node = make(
      "td",
      { class: from === to ? "diagonal" : null, title: `${from} taken for ${to}: ${percent(share)} %` },
      percent(share, share < 0.0995 ? 1 : 0),
    );
    node.style.setProperty("--shade", share.toFixed(3));
    return node;
  };
  return put(
    scrolling(
      "Confusion matrix",
      make(
        "table",
        { class: "shaded stuck confusion" },
        make(
          "thead",
          null,
          make(
            "tr",
            null,
            make("th", { scope: "col", class: "left" }, "True, % taken for"),
            names.map((name) => make("th", { scope: "col" }, named(name))),
          ),
        ),
        make(
          "tbody",
          null,
          names.map((from) =>
            make(
              "tr",
              null,
              make("th", { scope: "row", class: "left name" }, named(from)),
              names.map((to) => field(from, to)),
            ),
          ),
        ),
      ),
    ),
    { class: "scroll narrow" },
    [],
  );
}

function drawClasses(body) {
  const chart = confusionOf(selectedCell());
  const many = chart.rows.length < chart.total;
  const table = sortableTable("Accuracy per class", classColumns(), chart.rows, 20);
  table.querySelector("table").classList.add("parts");
  replace(
    body,
    table,
    make(
      "p",
      { class: "caption" },
      many && `The worst ${chart.rows.length} of ${whole(chart.total)} classes. `,
      `Share of all queries of a class, of all its episodes, that were classified rightly. The interval is over other draws of episodes from these images: queries of one episode succeed or fail together, and count as fewer.`,
    ),
    make("h3", null, "Most confused pairs"),
    chart.pairs.length
      ? sortableTable("Most confused pairs", pairColumns(), chart.pairs, FIRST_PAIRS)
      : make("p", null, "No query was taken for another class."),
    make(
      "p",
      { class: "caption" },
      "Of the queries of a class in the episodes that have both classes, the share that was taken for the other.",
    ),
    chart.total <= MATRIX_CLASSES && [
      make("h3", null, "Confusion matrix"),
      confusionMatrix(chart),
      make(
        "p",
        { class: "caption" },
        "Rows are true classes. Each share is of the queries in episodes that have both classes, so that a row does not add up to 100; the diagonal is the accuracy of the class. Empty: no query was taken for it. The darker, the larger, from 0 to 100 %.",
      ),
    ],
  );
}

section("classes", "Accuracy per class and confusion", {
  when: ["filter", "cell"],
  needed: () => Boolean(confusionOf(selectedCell())),
  draw: drawClasses,
  about: () => fullPlace(selectedCell()),
});
