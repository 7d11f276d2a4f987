// Numbers as the tables of the command line show them.
const MISSING = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

function decimal(value, digits = 2, sign = false) {
  if (!known(value)) return MISSING;
  const text = value.toFixed(digits);
  // "-0.0" would claim a direction which the digits do not show.
  if (Number(text) === 0) return (0).toFixed(digits);
  return sign && value > 0 ? `+${text}` : text;
}

const percent = (value, digits = 1, sign = false) =>
  decimal(known(value) ? 100 * value : value, digits, sign);

const halfOf = (bounds) =>
  bounds && known(bounds[0]) && known(bounds[1]) ? (bounds[1] - bounds[0]) / 2 : null;

// Half a width in percent: a second digit where one would say 0.0.
function plusMinus(half, measure = null) {
  if (!known(half)) return MISSING;
  if (measure !== null && !isShare(measure)) return decimal(half, half === 0 || half >= 0.005 ? 2 : 3);
  return percent(half, half === 0 || half >= 0.0005 ? 1 : 2);
}

const whole = (value) => (known(value) ? Math.round(value).toLocaleString("en") : MISSING);

function seconds(value) {
  if (!known(value)) return MISSING;
  if (value === 0) return "0";
  return value >= 100 ? whole(value) : Number(value.toPrecision(2)).toString();
}

const parameters = (value) => (known(value) ? decimal(value / 1e6, 1) : MISSING);

// Text of a table's cell; a missing number is said in words to those who listen.
const spoken = (text) => (text === MISSING ? [MISSING, hiddenWord(" undefined")] : text);

const cellOf = (text, attributes) => make("td", attributes, spoken(text));

// `measure`: of the task, if it is one; else the value is a share.
function withInterval(value, half, measure = null) {
  const text = measure === null ? percent(value) : amount(value, measure);
  return known(half)
    ? [text, make("span", { class: "pm" }, ` ± ${plusMinus(half, measure)}`)]
    : spoken(text);
}

const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

const levelText = () => `${decimal(100 * payload.level, 0)} %`;
