// Everything together.
readAddress();
const filterHost = document.getElementById("filters");
let bar = filterBar(filterHost);

listeners.push((what) => {
  if (what === "task") {
    fore.clear();
    const inside = filterHost.contains(document.activeElement);
    bar = filterBar(filterHost);
    if (inside) filterHost.querySelector("select")?.focus();
  }
  bar?.refresh();
  refreshSections(what);
});

buildSections(document.getElementById("results"));

addEventListener("hashchange", () => {
  readAddress();
  change("task", {});
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("results").focus();
});
addEventListener("beforeprint", drawAll);

let measured = document.getElementById("results").clientWidth;
new ResizeObserver(([entry]) => {
  // Charts are drawn for the room they have; a scroll bar more or less is no reason to draw again.
  if (Math.abs(entry.contentRect.width - measured) < 24) return;
  measured = entry.contentRect.width;
  refreshSections("width");
}).observe(document.getElementById("results"));
