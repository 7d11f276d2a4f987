// Gallery of one class: the slider moves the threshold, and the decisions follow.
const data = JSON.parse(document.getElementById("data").textContent);
const list = document.getElementById("images");
const slider = document.getElementById("threshold");
const items = data.images.map((image) => {
  const item = document.createElement("li");
  const figure = document.createElement("figure");
  if (image.picture) {
    const picture = document.createElement("img");
    picture.src = image.picture;
    picture.alt = "";
    figure.append(picture);
  } else {
    const blank = document.createElement("span");
    blank.className = "blank";
    figure.append(blank);
  }
  const caption = document.createElement("figcaption");
  const decision = document.createElement("b");
  const name = document.createElement("span");
  name.textContent = image.file;
  caption.append(decision, ` ${signed(image.score)} `, name);
  figure.append(caption);
  item.title = image.file;
  item.append(figure);
  list.append(item);
  return { item, decision, score: image.score };
});

function signed(value) {
  return (value > 0 ? "+" : "") + value.toFixed(2);
}

// Position k of the slider: the first k images are a yes. Equal scores go together.
function update() {
  let count = Number(slider.value);
  while (count > 0 && count < items.length && items[count].score === items[count - 1].score) count--;
  items.forEach(({ item, decision }, place) => {
    const yes = place < count;
    item.className = yes ? "yes" : "no";
    decision.textContent = yes ? "yes" : "no";
  });
  const counts = `${count} yes, ${items.length - count} no`;
  document.getElementById("counts").textContent = counts;
  slider.setAttribute("aria-valuetext", counts);
  const text = level(count);
  document.getElementById("level").textContent = `scores above ${signed(text)}`;
}

// The rule's own threshold where it gives these decisions, else half way between two images.
function level(count) {
  if (count === data.accepted || !items.length) return 0;
  if (count === 0) return items[0].score;
  if (count === items.length) return items[count - 1].score - 0.01;
  return (items[count - 1].score + items[count].score) / 2;
}

slider.max = String(items.length);
slider.value = String(data.accepted);
slider.addEventListener("input", update);
document.getElementById("reset").addEventListener("click", () => {
  slider.value = String(data.accepted);
  update();
});
update();
