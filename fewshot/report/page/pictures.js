// Pictures of the selected cell, the most telling first, with the legend of their colours.
const picturesOf = (cell) => cell?.details?.pictures ?? [];
const leftOut = (cell) => cell?.details?.left_out ?? 0;
const FEW_COLORS = 24;

function pictureFigure({ rank, file, text, picture }, { x }) {
  // Whatever stands there, only an image inside the page is shown.
  const safe = typeof picture === "string" && picture.startsWith("data:image/");
  const words = `${capital(rank)}: ${file}, ${text}`;
  return make(
    "figure",
    { class: "picture" },
    safe
      ? make("img", { src: picture, alt: `${x}. ${words}.` })
      : make("p", { class: "soft" }, "No picture."),
    make("figcaption", null, make("b", null, capital(rank)), " · ", fileName(file), " · ", text),
  );
}

function colorLegend(colors) {
  if (!colors.length) return null;
  const entries = make(
    "ul",
    { class: "legend", "aria-label": "Colours" },
    colors.map(([name, color]) => make("li", { class: "entry" }, swatch(color), named(name))),
  );
  if (colors.length <= FEW_COLORS) return entries;
  return make("details", null, make("summary", null, `Colours of ${colors.length} classes`), entries);
}

function leftOutText(cell) {
  const count = leftOut(cell);
  if (!count) return null;
  const size = payload.picture_bytes;
  if (!size) return "Pictures are left out of this page.";
  const are = count === 1 ? "picture is" : "pictures are";
  return `${whole(count)} more ${are} left out: all of a page take ${decimal(size / 1e6, 1)} MB at most.`;
}

function drawPictures(body) {
  const cell = selectedCell();
  const [colors, pictured] = [cell.details.colors, cell.details.pictured].map(sharedValue);
  const shown = picturesOf(cell);
  replace(
    body,
    shown.length ? colorLegend(colors) : null,
    make("div", { class: "pictures" }, shown.map((one) => pictureFigure(one, pictured))),
    make(
      "p",
      { class: "caption" },
      shown.length ? `${pictured.caption} ` : null,
      leftOutText(cell),
    ),
  );
}

section("pictures", () => sharedValue(selectedCell()?.details?.pictured)?.title ?? "", {
  when: ["filter", "cell"],
  needed: () => picturesOf(selectedCell()).length + leftOut(selectedCell()) > 0,
  draw: drawPictures,
  about: () => fullPlace(selectedCell()),
});
