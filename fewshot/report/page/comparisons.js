// Paired differences of what was judged on the same episodes or tasks.
// Row minus column; the same pair the other way round with the other sign.
function comparisonOf(pairs, row, column) {
  const own = pairs.find((one) => one.first === row && one.second === column);
  if (own) return { ...own.difference, episodes: own.episodes };
  const other = pairs.find((one) => one.first === column && one.second === row);
  const { mean, lower, upper } = other?.difference ?? {};
  return (
    other && {
      mean: known(mean) ? -mean : null,
      lower: known(upper) ? -upper : null,
      upper: known(lower) ? -lower : null,
      episodes: other.episodes,
    }
  );
}

function comparisonCell(cell, one) {
  if (!one || !known(one.mean)) return make("td");
  const half = halfOf([one.lower, one.upper]);
  // A digit more where one would not show which of the two is larger.
  const digits = known(half) && percent(Math.abs(one.mean)) === percent(half) ? 2 : 1;
  const width = known(half) ? ` ± ${digits > 1 ? percent(half, 2) : plusMinus(half)}` : "";
  const text = `${percent(one.mean, digits, true)}${width}`;
  const clear = known(half) && (one.lower > 0 || one.upper < 0);
  const fewer = known(one.episodes) && one.episodes < cell.episodes;
  return make(
    "td",
    null,
    clear ? make("strong", null, text, hiddenWord(" clear")) : text,
    fewer && make("small", null, plural(one.episodes, "episode")),
  );
}

const pairsOf = (cell, measure, at) =>
  cell.comparisons.filter((one) => (one.measure ?? "mae") === measure && (one.at ?? null) === at);

// `names` in the order of rows; those without any pair are left out.
function comparisonTable(cell, names, measure, at) {
  const pairs = pairsOf(cell, measure, at);
  const compared = new Set(pairs.flatMap((one) => [one.first, one.second]));
  const rows = unique([...names, ...compared]).filter((name) => compared.has(name));
  if (rows.length < 2) return null;
  const what =
    measure === "mae"
      ? "|predicted − actual| on the same episodes"
      : `${measureName(measure)} on the same ${state.task === "one_class" ? "tasks" : "episodes"}`;
  const better =
    measure === "mae"
      ? "Below 0 the row is nearer on average; whether it tells episodes apart, Spearman says."
      : lowerIsBetter(measure)
        ? "Below 0 the row is better."
        : "Above 0 the row is better.";
  return make(
    "div",
    null,
    make(
      "h3",
      null,
      measure === "mae" ? "Is one nearer than another?" : "Is one better than another?",
    ),
    make(
      "p",
      null,
      `Row minus column: mean difference of ${what}, in points, ± half its ${levelText()} interval. ${better} `,
      make("strong", null, "Bold"),
      ": the interval excludes 0. Among many pairs that are equally good, about one in twenty would be bold by chance.",
    ),
    put(
      scrolling(
        "Paired comparisons",
        make(
          "table",
          { class: "stuck" },
          make(
            "thead",
            null,
            make(
              "tr",
              null,
              make("th", { scope: "col", class: "left" }, "Row minus column"),
              rows.map((name) => make("th", { scope: "col" }, named(name))),
            ),
          ),
          make(
            "tbody",
            null,
            rows.map((row) =>
              make(
                "tr",
                null,
                make("th", { scope: "row", class: "left" }, named(row)),
                rows.map((column) =>
                  comparisonCell(cell, row === column ? null : comparisonOf(pairs, row, column)),
                ),
              ),
            ),
          ),
        ),
      ),
      { class: "scroll narrow" },
      [],
    ),
  );
}

// Heads of verification and rules of one-class tasks have comparisons of their own.
section("comparisons", "Paired comparisons", {
  when: ["filter", "view", "cell"],
  needed: () =>
    state.task !== "classification" &&
    Boolean(selectedCell()) &&
    pairsOf(selectedCell(), currentMeasure(), currentAt()).length > 0,
  draw: (body) => replace(body, comparisonTable(selectedCell(), [], currentMeasure(), currentAt())),
  about: () => fullPlace(selectedCell()),
});
