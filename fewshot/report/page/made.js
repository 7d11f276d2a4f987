// How the selected number was made, and with what.
function factText(value) {
  if (value === null || value === undefined) return MISSING;
  if (Array.isArray(value)) return value.length ? value.map(factText).join(", ") : "none";
  if (typeof value !== "object") return String(value);
  const pairs = Object.entries(value);
  return pairs.length ? pairs.map(([key, one]) => `${key} ${factText(one)}`).join(", ") : "none";
}

const facts = (pairs) =>
  make(
    "dl",
    null,
    pairs
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [
        make("dt", null, named(key)),
        make("dd", null, value instanceof Node ? value : named(factText(value))),
      ]),
  );

const folded = (title, pairs, open = false) =>
  pairs.length ? make("details", { open }, make("summary", null, title), facts(pairs)) : null;

const words = (name) => name.replaceAll("_", " ");

// A line to copy: one click selects all of it.
const typed = (text) => make("pre", null, make("code", null, text));
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

const FEATURES_AS = { l2: "of unit length", none: "as given" };

function drawMade(body) {
  const cell = selectedCell();
  const made = cell.made ?? {};
  const run = payload.runs[made.run] ?? {};
  const own = [
    ["Run", run.name && make("span", { title: run.folder ?? run.name }, named(run.short ?? run.name))],
    ["Folder", run.folder ? typed(run.folder) : undefined],
    ["Made", run.created && `${run.created.slice(0, 16).replace("T", " ")} UTC`],
    ["Rows taken from", made.reused_from ?? undefined],
    ["Key", made.key ? make("code", null, made.key) : undefined],
    ["Run it again", made.command ? typed(made.command) : undefined],
    ["Check it", made.command ? typed(`fewshot reproduce ${quoted(run.folder)}`) : undefined],
    ["Report on it", run.folder ? typed(`fewshot report ${quoted(run.folder)}`) : undefined],
    [`${capital(task().episode)}s`, cell.episodes],
    [capital(task().head), cell.head],
    ["Head parameters", made.head_parameters],
    ["Features", FEATURES_AS[made.normalize]],
    [capital(task().queries ?? "queries per class"), known(cell.queries) ? Number(cell.queries.toFixed(1)) : cell.queries],
    ["Protocol", made.protocol ?? undefined],
    ["Unlabelled images", cell.unlabelled ?? undefined],
    ["Seed", cell.seed],
    ["Seconds", known(cell.cost?.seconds) ? seconds(cell.cost.seconds) : undefined],
    ...Object.entries(made.hashes ?? {}).map(([name, hash]) => [
      `Hash of ${words(name)}`,
      make("code", null, hash),
    ]),
    ["Base classes", made.base && Object.keys(made.base).length ? factText(made.base) : undefined],
    ...(made.more ?? []),
  ];
  const entries = (object) =>
    Object.entries(object ?? {}).map(([key, value]) => [words(key), value]);
  replace(
    body,
    facts(own.filter(([, value]) => value !== undefined && value !== null)),
    make(
      "p",
      { class: "soft" },
      "In the run's folder, ",
      make("code", null, "config.yaml"),
      " holds all settings, ",
      task().tables.map((name, i) => [
        i ? (i === task().tables.length - 1 ? " and " : ", ") : "",
        make("code", null, `${name}.parquet`),
      ]),
      " the rows behind this page, ",
      make("code", null, "summary.json"),
      " its numbers and hashes in full.",
    ),
    folded("Images and classes", entries(run.data)),
    folded("Versions and machine", entries(run.environment)),
  );
}

section("made", "How the number was made", {
  when: ["filter", "cell"],
  needed: () => Boolean(selectedCell()),
  draw: drawMade,
  about: () => fullPlace(selectedCell()),
});
