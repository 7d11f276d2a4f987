// Files made in the page: tables as CSV, charts as SVG.
function download(name, kind, text) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function csvField(value) {
  const text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
  // A spreadsheet would take a name that begins so for a formula.
  const harmless = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

const csv = (rows) => rows.map((row) => row.map(csvField).join(",")).join("\r\n") + "\r\n";

const DRAWN = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linejoin",
  "opacity",
  "font-size",
  "font-weight",
  "text-anchor",
];

// A chart that stands without the page: light colours written into every element.
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const root = document.documentElement;
  root.classList.add("light");
  const [here, there] = [svg, copy].map((one) => [one, ...one.querySelectorAll("*")]);
  here.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of DRAWN) there[i].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "aria-label", "aria-roledescription"])
      there[i].removeAttribute(name);
  });
  const paper = getComputedStyle(root).getPropertyValue("--card").trim();
  root.classList.remove("light");
  const [, , width, height] = svg.getAttribute("viewBox").split(" ");
  put(copy, { xmlns: SVG, width, height, "font-family": "Helvetica, Arial, sans-serif" }, []);
  copy.querySelectorAll("[data-cursor]").forEach((one) => one.remove());
  copy.prepend(shape("rect", { width, height, fill: paper }));
  return new XMLSerializer().serializeToString(copy);
}

const savedName = (text) =>
  text
    .replace(/[^\w.-]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 100) || "chart";

const saveButton = (svg, name) =>
  make(
    "button",
    {
      type: "button",
      class: "save",
      "aria-label": `Save SVG: ${name}`,
      click: () => download(`${savedName(name)}.svg`, "image/svg+xml", standalone(svg)),
    },
    "Save SVG",
  );
