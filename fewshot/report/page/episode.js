// One episode in words: what was predicted, what happened, which classes and images.
const MOST_CLASSES = 20;
const MOST_FILES = 10;

const EPISODE_HINT = "Point at another episode, or go from one to the next with the arrow keys.";

// The status says it in one sentence; the panel itself would be too much to listen to.
const episodePanel = () =>
  make(
    "div",
    { class: "card episode", "aria-label": "Episode", role: "region" },
    make("p", { class: "hidden", role: "status" }),
    make("div", null, make("p", { class: "soft" }, EPISODE_HINT)),
  );

const verdict = (gap) => {
  if (Number(percent(gap)) === 0) return "exact";
  return gap > 0 ? "too gloomy" : "too hopeful";
};

function fillEpisode(panel, one, set, index, estimator) {
  const classes = index >= 0 ? drawn(set, index) : one.classes.map((name) => ({ name, files: [] }));
  const [status, content] = panel.children;
  status.textContent =
    `Episode ${one.episode}: predicted ${percent(one.predicted)} %, ` +
    `actual ${percent(one.actual)} %; ${classes
      .map((each) => each.name)
      .slice(0, MOST_CLASSES)
      .join(", ")}`;
  const by = make("span", { class: "pm" }, " predicted by ", named(estimator));
  replace(
    content,
    make("h4", null, `Episode ${one.episode}`, by),
    episodeNumbers(one),
    make(
      "ul",
      { class: "classes", "aria-label": "Classes of the episode" },
      classes.slice(0, MOST_CLASSES).map(classEntry),
    ),
    classes.length > MOST_CLASSES &&
      make("p", { class: "soft" }, `and ${classes.length - MOST_CLASSES} more classes`),
    make("p", { class: "caption" }, EPISODE_HINT),
  );
}

function episodeNumbers(one) {
  const gap = one.predicted - one.actual;
  const bounded = known(one.lower) && known(one.upper);
  const interval = bounded ? `(${percent(one.lower)} to ${percent(one.upper)})` : "";
  const number = (label, text, more) =>
    make(
      "span",
      null,
      `${label} `,
      make("b", null, text),
      make("span", { class: "soft" }, ` ${more}`),
    );
  return make(
    "p",
    { class: "numbers" },
    number("predicted", `${percent(one.predicted)} %`, interval),
    number("actual", `${percent(one.actual)} %`, ""),
    number("difference", percent(gap, 1, true), verdict(gap)),
  );
}

function classEntry({ name, files }) {
  const some = files.slice(0, MOST_FILES);
  const more =
    files.length > some.length
      ? make("span", { class: "files" }, `and ${files.length - some.length} more`)
      : null;
  const pictures = some.filter((file) => file.picture);
  const names = some.filter((file) => !file.picture);
  return make(
    "li",
    null,
    make("strong", null, named(name)),
    pictures.length ? make("div", { class: "shots" }, pictures.map(shotFigure)) : null,
    names.length
      ? make(
          "div",
          { class: "files" },
          names.map((file, i) => [i ? ", " : "", fileName(file.name, 36)]),
        )
      : null,
    more,
  );
}

const shotFigure = (file) =>
  make(
    "figure",
    null,
    make("img", { src: file.picture, alt: "", width: 64, height: 64 }),
    make("figcaption", null, fileName(file.name, 26)),
  );
