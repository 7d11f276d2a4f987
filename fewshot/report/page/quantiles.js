// Quantiles of Student's t, for means over a few seeds.
function logGamma(x) {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  // Stirling's series is exact enough from 7 on.
  let shift = 0;
  for (; x < 7; x += 1) shift += Math.log(x);
  return (
    (x - 0.5) * Math.log(x) -
    x +
    0.5 * Math.log(2 * Math.PI) +
    1 / (12 * x) -
    1 / (360 * x ** 3) -
    shift
  );
}

// P(0 < T < t) by Simpson's rule after t = tan(u) sqrt(df), which makes the tail finite.
function tArea(t, df) {
  const constant = Math.exp(logGamma((df + 1) / 2) - logGamma(df / 2)) / Math.sqrt(Math.PI);
  const end = Math.atan(t / Math.sqrt(df));
  const steps = 200;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 ? 4 : 2;
    sum += weight * Math.cos((end * i) / steps) ** (df - 1);
  }
  return (constant * sum * end) / steps / 3;
}

function tQuantile(level, df) {
  let [low, high] = [0, 1e6];
  for (let i = 0; i < 200 && high - low > 1e-9 * high; i++) {
    const middle = low > 0 || high < 1e3 ? (low + high) / 2 : Math.sqrt(high);
    if (tArea(middle, df) < level / 2) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// Mean of one number per seed, with its t interval; null where a single seed has none.
function meanOverSeeds(values) {
  const n = values.length;
  const mean = values.reduce((sum, one) => sum + one, 0) / n;
  if (n < 2) return { mean, bounds: null };
  const variance = values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (n - 1);
  const half = tQuantile(payload.level, n - 1) * Math.sqrt(variance / n);
  return { mean, bounds: [mean - half, mean + half] };
}
