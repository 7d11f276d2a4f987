// Elements made piece by piece. Text from data becomes text nodes, never markup.
const SVG = "http://www.w3.org/2000/svg";

function put(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

const make = (tag, attributes, ...children) =>
  put(document.createElement(tag), attributes, children);

const shape = (tag, attributes, ...children) =>
  put(document.createElementNS(SVG, tag), attributes, children);

const hiddenWord = (text) => make("span", { class: "hidden" }, text);

// A name from the data: kept from changing the direction of what stands beside it.
const named = (text) => make("bdi", null, text);

const replace = (node, ...children) =>
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));

// A box that scrolls sideways, with the keyboard too.
const scrolling = (label, ...children) =>
  make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, children);

const unique = (values) => [...new Set(values)];

const byText = (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });

// Moves the focus among buttons of which one is in the tab order.
function arrows(event, buttons, keys = ["ArrowLeft", "ArrowRight"]) {
  const here = buttons.indexOf(document.activeElement);
  const steps = { [keys[0]]: here - 1, [keys[1]]: here + 1, Home: 0, End: buttons.length - 1 };
  if (here < 0 || !(event.key in steps)) return null;
  event.preventDefault();
  const next = buttons[Math.min(Math.max(steps[event.key], 0), buttons.length - 1)];
  next.focus();
  return next;
}
