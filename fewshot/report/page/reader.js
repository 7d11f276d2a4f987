// Points of a chart that can be asked: by pointing, by touch, by arrow keys from a single tab stop.
// points: [{x, y, ...}] in the chart's own units; `tell` gets the point, or null.
function readable(svg, points, tell, label) {
  if (!points.length) return { go: () => {} };
  const cursor = shape("circle", {
    class: "cursor",
    r: 7,
    "data-cursor": "",
    visibility: "hidden",
  });
  svg.append(cursor);
  put(
    svg,
    {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "chart",
      "aria-label": `${label} Arrow keys go from point to point.`,
    },
    [],
  );
  let here = null;
  const go = (point) => {
    if (point === here) return;
    here = point;
    cursor.setAttribute("visibility", point ? "visible" : "hidden");
    if (point) put(cursor, { cx: point.x, cy: point.y }, []);
    tell(point);
  };
  const orders = { x: null, y: null };
  const order = (axis) => {
    const other = axis === "x" ? "y" : "x";
    const sign = axis === "x" ? 1 : -1;
    return (orders[axis] ??= [...points].sort(
      (a, b) => sign * (a[axis] - b[axis]) || a[other] - b[other],
    ));
  };
  const step = (axis, by) => {
    const all = order(axis);
    const at = here ? all.indexOf(here) + by : by > 0 ? 0 : all.length - 1;
    go(all[Math.min(Math.max(at, 0), all.length - 1)]);
  };
  const moves = {
    ArrowRight: () => step("x", 1),
    ArrowLeft: () => step("x", -1),
    ArrowUp: () => step("y", 1),
    ArrowDown: () => step("y", -1),
    Home: () => go(order("x")[0]),
    End: () => go(order("x").at(-1)),
    PageUp: () => step("y", 10),
    PageDown: () => step("y", -10),
  };
  svg.addEventListener("keydown", (event) => {
    if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    moves[event.key]();
  });
  svg.addEventListener("focus", () => here || (svg.matches(":focus-visible") && go(order("x")[0])));
  for (const kind of ["pointermove", "pointerdown"])
    svg.addEventListener(kind, (event) => {
      const near = nearest(svg, points, event, kind === "pointerdown" ? 40 : 24);
      if (near) go(near);
    });
  return { go };
}

function nearest(svg, points, event, reach) {
  const box = svg.getBoundingClientRect();
  const scale = svg.viewBox.baseVal.width / box.width;
  const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let [best, found] = [(reach * scale) ** 2, null];
  for (const point of points) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance < best) [best, found] = [distance, point];
  }
  return found;
}

// A line of text below a chart that says what the point is.
const readout = (hint) => make("p", { class: "readout", role: "status" }, hint);
