// Cells: their names, their measures, their place in a curve.
const NAMES = {
  task: "Task",
  dataset: "Data set",
  backbone: "Backbone",
  feature: "Feature",
  head: "Head",
  source: "Confusers",
  against: "Negatives",
  ways: "Ways",
  shots: "Shots",
  seed: "Seed",
};
const TASKS = {
  classification: "Classification",
  verification: "Verification",
  one_class: "One class",
};
const MEASURES = {
  accuracy: "Accuracy",
  error: "Error",
  auroc: "AUROC",
  average_precision: "AP",
  ap: "AP",
  fpr95: "FPR95",
  macro_f1: "Macro F1",
  f1: "F1 of yes",
  balanced_accuracy: "Balanced accuracy",
  regret: "Regret",
};
const TAGS = {
  queries: ["transductive", "sees all queries of an episode together, in random order"],
  query_prior: ["query prior", "assumes the same number of queries of every class"],
  text: ["text", "reads the class names"],
  text_gaussians: ["text Gaussians", "knows what texts of base classes say about their images"],
  base: ["base classes", "knows moments of the base classes, where there are any"],
};
const POPULATIONS = ["episodes", "images", "classes"];

const measureName = (name) => MEASURES[name] ?? name.replaceAll("_", " ");

// Ids for links: the cell's key where it has one.
payload.cells.forEach((cell, i) => {
  cell.index = i;
  cell.id = cell.made && cell.made.key ? cell.made.key.slice(0, 12) : `cell${i}`;
});
const cellById = new Map();
for (const cell of payload.cells) {
  while (cellById.has(cell.id)) cell.id += "x";
  cellById.set(cell.id, cell);
}

// Asked for every row of a table: remembered as long as the list of cells lives.
const differing = new WeakMap();

function several(cells, name) {
  if (!differing.has(cells)) differing.set(cells, {});
  const known = differing.get(cells);
  return (known[name] ??= new Set(cells.map((cell) => cell[name])).size > 1);
}

function measureOf(cell, name, at) {
  const own = cell.measures.filter((one) => one.name === name);
  return own.find((one) => one.at === at) ?? (known(at) ? undefined : own[0]);
}

const mainName = (task) =>
  payload.cells.find((cell) => cell.task === task)?.measures[0]?.name ?? "accuracy";

const boundsOf = (measure, population) => measure?.intervals?.[population] ?? null;

const lower = new Set(
  payload.cells
    .flatMap((cell) => cell.measures)
    .filter((one) => one.better === "lower")
    .map((one) => one.name),
);
const lowerIsBetter = (name) => lower.has(name);

const estimatorOf = (cell, name) => cell.estimators.find((one) => one.name === name);
const speaker = (cell) => estimatorOf(cell, cell.spokesman);
const shownName = (estimator) => (estimator.sees_queries ? `${estimator.name} †` : estimator.name);

// The one who speaks first, the others as they came, those who saw the queries last.
function estimatorsOf(cell) {
  const rank = (one) => (one.sees_queries ? 2 : one.name === cell.spokesman ? 0 : 1);
  return [...cell.estimators].sort((a, b) => rank(a) - rank(b));
}

function place(cell) {
  if (cell.task === "one_class")
    return `${cell.head}${cell.source ? ` with confusers ${cell.source}` : ""}`;
  return `${cell.ways}-way ${cell.shots}-shot with ${cell.head}`;
}

function fullPlace(cell) {
  const feature = several(taskCells(), "feature") && cell.feature ? ` (${cell.feature})` : "";
  const seed = several(taskCells(), "seed") ? `, seed ${cell.seed}` : "";
  return `${cell.dataset} · ${cell.backbone}${feature} · ${place(cell)}${seed}`;
}

// What a line in a chart over shots stands for.
const SERIES = ["backbone", "feature", "head", "source", "against"];

function seriesName(cell, cells) {
  const names = SERIES.filter((name) => name === "head" || several(cells, name));
  return names
    .map((name) => cell[name])
    .filter((text) => text !== null && text !== "")
    .join(" · ");
}
const seriesKey = (cell) => JSON.stringify(SERIES.map((name) => cell[name]));
