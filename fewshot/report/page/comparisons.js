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

// `measure`: of the task; null for differences of estimators.
function comparisonCell(cell, one, measure) {
  if (!one || !known(one.mean)) return make("td");
  const text = (value, digits, sign) =>
    measure === null ? percent(value, digits, sign) : amount(value, measure, digits, sign);
  const half = halfOf([one.lower, one.upper]);
  // A digit more where one would not show which of the two is larger.
  const digits = known(half) && text(Math.abs(one.mean)) === text(half) ? 2 : 1;
  const width = digits > 1 ? text(half, 2) : plusMinus(half, measure);
  const difference = `${text(one.mean, digits, true)}${known(half) ? ` ± ${width}` : ""}`;
  const clear = known(half) && (one.lower > 0 || one.upper < 0);
  const fewer = known(one.episodes) && one.episodes < cell.episodes;
  return make(
    "td",
    null,
    clear ? make("strong", null, difference, hiddenWord(" clear")) : difference,
    fewer && make("small", null, plural(one.episodes, "episode")),
  );
}

const pairsOf = (cell, measure, at) =>
  cell.comparisons.filter((one) => one.measure === measure && [at, null].includes(one.at ?? null));

// Words of differences in a measure of the task, and of the distance of estimators.
const inMeasure = (measure) => ({
  measure,
  title: "Is one better than another?",
  what: `${measureName(measure)} on the same ${task().episode}s`,
  unit: isShare(measure) ? ", in points" : "",
  better: lowerIsBetter(measure) ? "Below 0 the row is better." : "Above 0 the row is better.",
});
const OF_ESTIMATORS = {
  measure: null,
  title: "Is one nearer than another?",
  what: "|predicted − actual| on the same episodes",
  unit: ", in points",
  better: "Below 0 the row is nearer on average; whether it tells episodes apart, Spearman says.",
};

// `names` in the order of rows; those without any pair are left out.
function comparisonTable(cell, names, pairs, words) {
  const compared = new Set(pairs.flatMap((one) => [one.first, one.second]));
  const rows = unique([...names, ...compared]).filter((name) => compared.has(name));
  const shown = words.shown ?? ((name) => name);
  if (rows.length < 2) return null;
  return make(
    "div",
    null,
    make("h3", null, words.title),
    make(
      "p",
      null,
      `Row minus column: mean difference of ${words.what}${words.unit}, ± half its ${levelText()} interval. ${words.better} `,
      make("strong", null, "Bold"),
      ": the interval excludes 0. Among many pairs that are equally good, about one in twenty would be bold by chance.",
      words.more,
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
              rows.map((name) => make("th", { scope: "col" }, named(shown(name)))),
            ),
          ),
          make(
            "tbody",
            null,
            rows.map((row) =>
              make(
                "tr",
                null,
                make("th", { scope: "row", class: "left" }, named(shown(row))),
                rows.map((column) =>
                  comparisonCell(
                    cell,
                    row === column ? null : comparisonOf(pairs, row, column),
                    words.measure,
                  ),
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

// Differences of heads; those of estimators are shown beside them.
const currentPairs = () => pairsOf(selectedCell(), currentMeasure(), currentAt());

section("comparisons", "Paired comparisons", {
  when: ["filter", "view", "cell"],
  needed: () =>
    task().sections.includes("comparisons") &&
    Boolean(selectedCell()) &&
    currentPairs().length > 0,
  draw: (body) =>
    replace(
      body,
      comparisonTable(selectedCell(), [], currentPairs(), inMeasure(currentMeasure())),
    ),
  about: () => fullPlace(selectedCell()),
});
