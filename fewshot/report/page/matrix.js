// Backbones by data sets: one number per pair, for a number of shots and a head.
const BEST_HEAD = "\u0000best";
const matrix = { shots: null, ways: null, head: BEST_HEAD };

const pick = (values, wanted, usual) => (values.includes(wanted) ? wanted : usual(values));

function matrixChoices(cells) {
  const of = (name) => unique(cells.map((cell) => cell[name])).sort(byText);
  const frequent = (name) => (values) =>
    values.reduce((best, one) => {
      const count = (value) => cells.filter((cell) => cell[name] === value).length;
      return best === undefined || count(one) > count(best) ? one : best;
    }, undefined);
  return {
    ways: [of("ways"), pick(of("ways"), matrix.ways, frequent("ways"))],
    shots: [of("shots"), pick(of("shots"), matrix.shots, frequent("shots"))],
    head: [of("head"), of("head").includes(matrix.head) ? matrix.head : BEST_HEAD],
  };
}

function drawMatrix(body) {
  const all = shownCells();
  const choices = matrixChoices(all);
  const cells = all.filter(
    (cell) =>
      cell.ways === choices.ways[1] &&
      cell.shots === choices.shots[1] &&
      (choices.head[1] === BEST_HEAD || cell.head === choices.head[1]),
  );
  const set = (name, values) => (text) => {
    matrix[name] = values.find((value) => String(value) === text) ?? text;
    keepingFocus(body, () => drawMatrix(body));
  };
  const select = (name) =>
    choices[name][0].length > 1 &&
    chooser(
      NAMES[name],
      choices[name][0].map((value) => [value, value]),
      choices[name][1],
      set(name, choices[name][0]),
    );
  const heads = [[BEST_HEAD, "best head"], ...choices.head[0].map((head) => [head, head])];
  replace(
    body,
    make(
      "div",
      { class: "row" },
      select("ways"),
      select("shots"),
      chooser("Head", heads, choices.head[1], set("head", choices.head[0])),
    ),
    put(
      scrolling("Backbones by data sets", matrixTable(cells, all, choices.head[1] === BEST_HEAD)),
      { class: "scroll narrow" },
      [],
    ),
    make(
      "p",
      { class: "caption" },
      `${measureName(currentMeasure())}${isShare(currentMeasure()) ? " in percent" : ""}, mean over seeds; the darker, the better within its data set; * the best of it.`,
      choices.head[1] === BEST_HEAD &&
        " Below each number the head that reached it: the best of many is flattered.",
    ),
  );
}

const backboneName = (cell, all) =>
  several(all, "feature") ? `${cell.backbone} (${cell.feature})` : cell.backbone;

// The best head of a pair, by the mean over its seeds.
function matrixEntry(cells) {
  const sign = lowerIsBetter(currentMeasure()) ? -1 : 1;
  const entries = [
    ...grouped(
      cells.filter((cell) => known(currentOf(cell)?.mean)),
      seriesKey,
    ),
  ].map(([, own]) => ({
    head: own[0].head,
    mean: meanOverSeeds(own.map((cell) => currentOf(cell).mean)).mean,
  }));
  return entries.reduce(
    (best, one) => (best && sign * best.mean >= sign * one.mean ? best : one),
    null,
  );
}

function matrixTable(cells, all, best) {
  const names = unique(all.map((cell) => backboneName(cell, all)));
  const datasets = unique(all.map((cell) => cell.dataset));
  const pairs = grouped(cells, (cell) => JSON.stringify([backboneName(cell, all), cell.dataset]));
  const entry = (name, dataset) => matrixEntry(pairs.get(JSON.stringify([name, dataset])) ?? []);
  const sign = lowerIsBetter(currentMeasure()) ? -1 : 1;
  const columns = datasets.map((dataset) => {
    const entries = names.map((name) => entry(name, dataset));
    const heights = entries.filter(Boolean).map((one) => sign * one.mean);
    return { entries, low: Math.min(...heights), high: Math.max(...heights) };
  });
  const text = (one) => amount(one.mean, currentMeasure());
  const cellFor = ({ entries, low, high }, i) => {
    const one = entries[i];
    if (!one) return cellOf(MISSING);
    const top = sign * one.mean === high && entries.filter(Boolean).length > 1;
    const cell = make(
      "td",
      { class: top && "top" },
      top ? make("strong", null, text(one), "*", hiddenWord(" best")) : text(one),
      best && make("small", null, named(one.head)),
    );
    cell.style.setProperty(
      "--shade",
      high > low ? ((sign * one.mean - low) / (high - low)).toFixed(3) : 0.5,
    );
    return cell;
  };
  return make(
    "table",
    { class: "shaded stuck" },
    make(
      "thead",
      null,
      make(
        "tr",
        null,
        make("th", { scope: "col", class: "left" }, "Backbone"),
        datasets.map((one) => make("th", { scope: "col" }, named(one))),
      ),
    ),
    make(
      "tbody",
      null,
      names.map((name, i) =>
        make(
          "tr",
          null,
          make("th", { scope: "row", class: "left" }, named(name)),
          columns.map((column) => cellFor(column, i)),
        ),
      ),
    ),
  );
}

section("matrix", "Backbones by data sets", {
  needed: () =>
    task().sections.includes("matrix") &&
    (several(shownCells(), "backbone") || several(shownCells(), "dataset")),
  draw: drawMatrix,
});
