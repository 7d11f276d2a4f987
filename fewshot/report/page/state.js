// What is shown: filters and choices, kept in the address so that a link shows the same.
const FILTERS = [
  "dataset",
  "backbone",
  "feature",
  "head",
  ...Object.keys(KEYS),
  "ways",
  "shots",
  "seed",
];
const PLAIN = [
  "task",
  "search",
  "sort",
  "order",
  "population",
  "measure",
  "at",
  "cell",
  "estimator",
];
const tasks = unique(payload.cells.map((cell) => cell.task));
const state = {};
const listeners = [];

function readAddress() {
  const pairs = new URLSearchParams(location.hash.slice(1));
  for (const name of PLAIN) state[name] = pairs.get(name) ?? "";
  if (!tasks.includes(state.task)) state.task = tasks[0] ?? "";
  if (!POPULATIONS.includes(state.population)) state.population = POPULATIONS[0];
  state.chosen = Object.fromEntries(FILTERS.map((name) => [name, new Set(pairs.getAll(name))]));
}

function writeAddress() {
  const pairs = new URLSearchParams();
  for (const name of PLAIN) {
    const usual = { task: tasks[0], population: POPULATIONS[0] }[name] ?? "";
    if (state[name] && state[name] !== usual) pairs.append(name, state[name]);
  }
  for (const name of FILTERS) for (const value of state.chosen[name]) pairs.append(name, value);
  const hash = `#${pairs}`;
  if (hash !== (location.hash || "#")) history.replaceState(history.state, "", hash);
}

const haystacks = new Map();

function haystack(cell) {
  if (!haystacks.has(cell)) {
    const words = FILTERS.map((name) => cell[name] ?? "");
    words.push(
      `${cell.ways}-way`,
      `${cell.shots}-shot`,
      ...cell.uses.map((use) => TAGS[use]?.[0] ?? use),
    );
    haystacks.set(cell, words.join(" ").toLowerCase());
  }
  return haystacks.get(cell);
}

function passes(cell, without) {
  const chosen = (name) =>
    name === without || !state.chosen[name].size || state.chosen[name].has(String(cell[name]));
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  return (
    cell.task === state.task &&
    FILTERS.every(chosen) &&
    words.every((word) => haystack(cell).includes(word))
  );
}

// Worked out once after every change.
const caches = [];

function remembered(work) {
  const cache = { there: false };
  caches.push(cache);
  return () => {
    if (!cache.there) Object.assign(cache, { there: true, value: work() });
    return cache.value;
  };
}

const taskCells = remembered(() => payload.cells.filter((cell) => cell.task === state.task));
const shownCells = remembered(() => payload.cells.filter((cell) => passes(cell)));
const taskMeasures = remembered(() => taskCells().flatMap((cell) => cell.measures));
const measureNames = remembered(() => unique(taskMeasures().map((one) => one.name)));

// The measure that is looked at, and the part of the cells where it is of several.
const currentMeasure = remembered(() =>
  measureNames().includes(state.measure) ? state.measure : mainName(),
);
const parts = remembered(() =>
  unique(taskMeasures().map((one) => one.at))
    .filter((at) => at !== null)
    // Parts with names stay in the order in which they came.
    .sort((a, b) => (known(a) && known(b) ? b - a : 0)),
);
const currentAt = remembered(
  () => parts().find((at) => String(at) === state.at) ?? parts()[0] ?? null,
);
const currentOf = (cell) => measureOf(cell, currentMeasure(), currentAt());
const populations = remembered(() =>
  POPULATIONS.filter((one) => taskCells().some((cell) => boundsOf(currentOf(cell), one))),
);
const currentPopulation = remembered(() =>
  populations().includes(state.population)
    ? state.population
    : (populations()[0] ?? state.population),
);

// The cell that the detail sections are about: the chosen one, else the best of those shown.
const selectedCell = remembered(() => {
  const cells = shownCells();
  const own = cellById.get(state.cell);
  if (own && cells.includes(own)) return own;
  const sign = lowerIsBetter(currentMeasure()) ? -1 : 1;
  const height = (cell) => (known(currentOf(cell)?.mean) ? sign * currentOf(cell).mean : -Infinity);
  return cells.reduce((best, cell) => (best && height(best) >= height(cell) ? best : cell), null);
});

// `what`: "filter" (which cells), "cell" (which one is looked at), "view" (how they are shown).
function change(what, values) {
  Object.assign(state, values);
  for (const cache of caches) cache.there = false;
  writeAddress();
  for (const listen of listeners) listen(what);
}

function choose(name, values) {
  change("filter", { chosen: { ...state.chosen, [name]: new Set(values) } });
}
