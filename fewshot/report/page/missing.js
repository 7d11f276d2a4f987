// What is not in the numbers: left out, left aside, failed, unreadable.
const ABSENT = [
  ["failed", "Failed", "These cells stopped with an error; their numbers are missing above."],
  ["unreadable", "Could not be read", "These runs are not in the numbers."],
  [
    "left_aside",
    "Left aside",
    "Several runs have these cells. The one over most episodes counts, of those the one made last.",
  ],
  ["left_out", "Left out", "Combinations that cannot be, or that were not asked for."],
];

section("missing", "Left out, left aside, failed, unreadable", {
  when: [],
  needed: () => ABSENT.some(([name]) => (payload[name] ?? []).length),
  draw: (body) =>
    replace(
      body,
      ABSENT.filter(([name]) => (payload[name] ?? []).length).map(([name, title, note]) =>
        make(
          "details",
          { open: payload[name].length <= 10 },
          make("summary", null, `${title} (${whole(payload[name].length)})`),
          make("p", { class: "soft" }, note),
          make(
            "ul",
            null,
            payload[name].map((text) => make("li", null, named(text))),
          ),
        ),
      ),
    ),
});
