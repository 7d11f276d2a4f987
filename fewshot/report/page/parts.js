// Values of the parts of the selected cell, as of classes, with their intervals and predictions.
const PART_NUMBERS = ["value", "lower", "upper", "predicted", "weight"];

function partsOf(cell) {
  const packed = cell?.details?.parts;
  if (!packed) return null;
  const colors = sharedValue(packed.colors);
  const numbers = Object.fromEntries(PART_NUMBERS.map((name) => [name, shares(packed[name])]));
  const rows = sharedValue(packed.names).map((name, i) => ({
    name,
    color: colors[i],
    ...Object.fromEntries(PART_NUMBERS.map((key) => [key, numbers[key]?.[i] ?? NaN])),
  }));
  return { words: sharedValue(packed.words), weight: packed.weight_title, rows };
}

const swatch = (color) => {
  const mark = make("i", { class: "swatch", "aria-hidden": "true" });
  // Only a colour: nothing else from the data gets into a style.
  if (/^#[0-9a-f]{6}$/.test(color ?? "")) mark.style.setProperty("--swatch", color);
  return mark;
};

const percentOf = (share) => `${(100 * Math.min(Math.max(share, 0), 1)).toFixed(2)}%`;

function partPicture(row) {
  const mark = make("i", { class: known(row.value) ? "measured" : null });
  const [from, to] = [row.lower, row.upper].map((end) => (known(end) ? end : row.value));
  for (const [name, value] of [["--from", from], ["--at", row.value], ["--to", to]])
    if (known(value)) mark.style.setProperty(name, percentOf(value));
  const guess = known(row.predicted) && make("b");
  if (guess) guess.style.setProperty("--guess", percentOf(row.predicted));
  return make("td", { class: "bar", "aria-hidden": "true" }, make("span", null, mark, guess));
}

function partColumns(chart) {
  const number = (key, title, unit, fill) => ({
    key,
    title,
    unit,
    better: "higher",
    value: (row) => row[key],
    fill: fill ?? ((row) => cellOf(percent(row[key]))),
  });
  const name = {
    key: "name",
    title: capital(chart.words.y),
    left: true,
    value: (row) => row.name,
    fill: (row) =>
      make("th", { scope: "row", class: "left" }, row.color && swatch(row.color), named(row.name)),
  };
  const [title, unit] = chart.words.x.split(", ");
  const value = number("value", title, unit, (row) =>
    make("td", { class: "main" }, withInterval(row.value, halfOf([row.lower, row.upper]))),
  );
  const some = (key) => chart.rows.some((row) => known(row[key]));
  return [
    name,
    { key: "picture", title: hiddenWord("As a picture, from 0 to 100 %"), fill: partPicture },
    value,
    some("predicted") && number("predicted", "Predicted", unit),
    some("weight") && number("weight", chart.weight, "%"),
  ].filter(Boolean);
}

function drawParts(body) {
  const chart = partsOf(selectedCell());
  const start = { key: "value", descending: true };
  const table = sortableTable(chart.words.title, partColumns(chart), chart.rows, FIRST_ROWS, start);
  table.querySelector("table").classList.add("parts");
  replace(body, table, make("p", { class: "caption" }, chart.words.caption));
}

section("parts", () => partsOf(selectedCell())?.words.title ?? "", {
  when: ["filter", "cell"],
  needed: () => Boolean(partsOf(selectedCell())?.rows.length),
  draw: drawParts,
  about: () => fullPlace(selectedCell()),
});
