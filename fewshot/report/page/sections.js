// Sections are drawn when they come into view, and again when what they depend on changes.
const sections = [];

// `when`: the changes that matter; `needed`: whether there is anything to show.
// `remark`: what is enough when only the selected cell changed.
function section(
  id,
  title,
  { when = ["filter", "view"], needed = () => true, draw, about, remark },
) {
  sections.push({
    id,
    title,
    when: [...when, "task", "width"],
    needed,
    draw,
    about,
    remark,
    fresh: false,
    near: false,
  });
}

const titleOf = (one) => (typeof one.title === "function" ? one.title() : one.title);

function buildSections(host) {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const own = sections.find((one) => one.node === entry.target);
        own.near = entry.isIntersecting;
        if (own.near) drawSection(own);
      }
    },
    { rootMargin: "500px" },
  );
  for (const one of sections) {
    one.heading = make("h2", { id: one.id }, titleOf(one));
    one.subject = make("p", { class: "soft subject" });
    one.body = make("div", { class: "waiting" });
    one.node = make(
      "section",
      { class: "part", "aria-labelledby": one.id },
      one.heading,
      one.subject,
      one.body,
    );
    host.append(one.node);
  }
  refreshSections("task");
  sections.forEach((one) => seen.observe(one.node));
}

function drawSection(one) {
  if (one.fresh || one.node.hidden) return;
  one.fresh = true;
  one.body.classList.remove("waiting");
  one.subject.textContent = one.about ? one.about() : "";
  one.subject.hidden = !one.subject.textContent;
  keepingFocus(one.body, () => one.draw(one.body));
}

// What is drawn anew loses the focus; it goes back to the same place.
function keepingFocus(body, draw) {
  const stops = () => [...body.querySelectorAll("select, button, input, [tabindex]")];
  const before = document.activeElement;
  const at = body.contains(before) ? stops().indexOf(before) : -1;
  draw();
  const after = at < 0 ? null : stops()[at];
  if (after && after.tagName === before.tagName) after.focus({ preventScroll: true });
}

function refreshSections(what) {
  for (const one of sections) {
    if (what === "cell" && one.remark && one.fresh) one.remark(one.body);
    if (!one.when.includes(what)) continue;
    one.fresh = false;
    one.node.hidden = !one.needed();
    one.heading.textContent = titleOf(one);
    if (one.near) drawSection(one);
  }
  contents();
}

const drawAll = () => sections.forEach(drawSection);

function contents() {
  const nav = document.getElementById("contents");
  const there = sections.filter((one) => !one.node.hidden);
  const links = there.map((one) =>
    make("a", { href: `#${one.id}`, click: (event) => jump(event, one) }, titleOf(one)),
  );
  const last = make(
    "a",
    { href: "#reading", click: (event) => jump(event, null) },
    "How to read the numbers",
  );
  replace(nav, links, last);
  nav.hidden = false;
}

// The address holds the filters, so that a link to a section must not replace them.
function jump(event, one) {
  event.preventDefault();
  const heading = one ? one.heading : document.getElementById("reading");
  // What is drawn above later would push the place away.
  for (const each of sections.slice(0, one ? sections.indexOf(one) + 1 : sections.length))
    drawSection(each);
  heading.setAttribute("tabindex", "-1");
  heading.focus({ preventScroll: true });
  heading.scrollIntoView();
}
