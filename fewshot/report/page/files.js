// Names of files, cut where they tell nothing apart: the class folder and the end stay. What is cut
// is still there, of no size: it is copied and read out, and the whole is the title.
function fileName(name, most = 40) {
  const text = String(name);
  if (text.length <= most) return named(text);
  const parts = text.split("/");
  const folder = parts.length > 1 ? `${parts.at(-2)}/` : "";
  const begin = folder && folder.length < most / 2 ? text.lastIndexOf(folder) : 0;
  const head = begin || folder.length < most / 2 ? folder : "";
  const start = head ? text.length - parts.at(-1).length : Math.floor(most / 3);
  const tail = text.length - (most - 1 - (head ? head.length : start));
  const gone = (from, to) => to > from && make("span", { class: "cut" }, text.slice(from, to));
  return make(
    "bdi",
    { title: text },
    head ? [gone(0, begin), head] : text.slice(0, start),
    gone(start, Math.max(start, tail)),
    text.slice(Math.max(start, tail)),
  );
}
