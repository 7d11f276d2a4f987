// What the page is about, and numbers that come packed.
const payload = JSON.parse(document.getElementById("data").textContent);

function unpack(text, Kind) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  // Little-endian, as is every machine that a browser runs on.
  return new Kind(bytes.buffer);
}

const unpacked = new Map();

// Unpacked once, since charts ask again whenever they are drawn.
function integers(text, Kind) {
  if (!text) return null;
  if (!unpacked.has(text)) unpacked.set(text, unpack(text, Kind));
  return unpacked.get(text);
}

// Shares in [0, 1]; NaN where there is none.
function shares(text) {
  const numbers = integers(text, Uint16Array);
  return numbers && Float64Array.from(numbers, (one) => (one === 65535 ? NaN : one / 65534));
}

// What many cells have in common is stored once.
const sharedValue = (number) => (known(number) ? payload.shared[number] : null);

const NO_FILE = 0xffffffff;

// Classes of the i-th episode of a set: names, file names and thumbnails of their shots.
function drawn(set, i) {
  const data = payload.datasets[set.dataset];
  const classes = integers(set.classes, Uint16Array);
  const support = integers(set.support, Uint32Array);
  const episodes = set.episodes.length;
  const ways = classes.length / episodes;
  const shots = support && data.files ? support.length / classes.length : 0;
  return Array.from({ length: ways }, (_, n) => {
    const place = i * ways + n;
    const rows = support && shots ? [...support.slice(place * shots, (place + 1) * shots)] : [];
    return {
      name: data.classnames[classes[place]] ?? `class ${classes[place]}`,
      files: rows.filter((row) => row !== NO_FILE).map((row) => fileOf(data, row)),
    };
  }).filter((one) => one.name);
}

function fileOf(data, row) {
  const picture = (data.thumbnails || {})[row];
  // Whatever stands there, only an image inside the page is shown.
  const safe = typeof picture === "string" && picture.startsWith("data:image/");
  return { name: data.files[row] ?? `row ${row}`, picture: safe ? picture : null };
}
