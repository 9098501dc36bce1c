// The gallery: the choice and order of pictures, and the keys that move between them.

const data = JSON.parse(byId("data").textContent);
const gallery = byId("gallery");
const entries = new Map(); // the newest entry of each picture, by its key
const cards = new Map(); // by the same keys
let shown = []; // in the order of the page

const names = new Intl.Collator(undefined, { numeric: true });
const ORDERS = {
  order: (a, b) => a.line - b.line,
  newest: (a, b) => b.line - a.line,
  name: (a, b) => names.compare(a.name, b.name),
  slowest: (a, b) => b.seconds - a.seconds,
  loss: (a, b) => (b.losses.total ?? -Infinity) - (a.losses.total ?? -Infinity) || a.line - b.line,
  failed: (a, b) => (b.status === "failed") - (a.status === "failed") || a.line - b.line,
};

function add(news) {
  for (const entry of news) {
    cards.get(entry.key)?.remove();
    entries.set(entry.key, entry);
    cards.set(entry.key, card(entry));
    const run = data.runs[entry.run] ?? {};
    const words = [entry.name, entry.input, entry.reason, entry.status, entry.device];
    entry.words = [...words, run.verb, run.style, run.bundle].join("\n").toLowerCase();
  }
  update();
}

function update() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const status = document.querySelector("[name=status]:checked").value;
  const found = [...entries.values()].filter((entry) => words.every((word) => entry.words.includes(word)));
  shown = found.filter((entry) => status === "all" || entry.status === status);
  shown.sort(ORDERS[byId("sort").value]);
  gallery.replaceChildren(...shown.map((entry) => cards.get(entry.key)));
  tell(found);
}

function tell(found) {
  const all = [...entries.values()];
  for (const place of document.querySelectorAll("[data-count]")) {
    const status = place.dataset.count;
    place.textContent = status === "all" ? found.length : found.filter((entry) => entry.status === status).length;
    place.parentNode.classList.toggle("some", place.textContent !== "0");
  }
  const failed = all.filter((entry) => entry.status === "failed").length;
  const devices = new Set(all.map((entry) => entry.device).filter(Boolean));
  byId("summary").textContent = [
    `${count(all.length - failed, "picture")} done`,
    ...(failed ? [`${failed} failed`] : []),
    duration(all.reduce((sum, entry) => sum + entry.seconds, 0)),
    ...devices,
  ].join(" · ");
  byId("shown").textContent = shown.length === all.length ? "" : `${shown.length} of ${count(all.length, "picture")}`;
  byId("nothing").hidden = shown.length > 0;
  byId("nothing").textContent = all.length ? "No picture matches." : "Nothing has been painted yet.";
}

byId("search").addEventListener("input", update);
byId("sort").addEventListener("change", update);
for (const choice of document.querySelectorAll("[name=status]")) choice.addEventListener("change", update);

// ---- keys --------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || details.open) return;
  const typing = event.target.matches("input:not([type=range]), select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "Escape" && event.target === byId("search")) {
    event.target.value = "";
    update();
  }
});

gallery.addEventListener("keydown", (event) => {
  const here = event.target.closest(".name") && event.target.closest(".card");
  const next = here && neighbour(here, event.key);
  if (!next) return;
  event.preventDefault();
  next.querySelector(".name").focus();
});

function neighbour(here, key) {
  if (key === "ArrowLeft") return here.previousElementSibling;
  if (key === "ArrowRight") return here.nextElementSibling;
  if (key === "Home") return gallery.firstElementChild;
  if (key === "End") return gallery.lastElementChild;
  if (key === "ArrowUp") return inNextRow(here, "previousElementSibling");
  if (key === "ArrowDown") return inNextRow(here, "nextElementSibling");
  return null;
}

// Returns the card in the row above or below whose middle is nearest.
function inNextRow(here, direction) {
  const middle = (each) => each.offsetLeft + each.offsetWidth / 2;
  const distance = (each) => Math.abs(middle(each) - middle(here));
  let best = null;
  let row = null;
  for (let each = here[direction]; each; each = each[direction]) {
    if (each.offsetTop === here.offsetTop) continue;
    row ??= each.offsetTop;
    if (each.offsetTop !== row) break;
    if (best === null || distance(each) < distance(best)) best = each;
  }
  return best;
}

// ---- light and dark ----------------------------------------------------------------------------

const THEME = "nstbatch-theme";

// Some browsers store nothing for pages from disk; the choice then lasts until the page is closed.
function stored(theme) {
  try {
    if (theme) localStorage.setItem(THEME, theme);
    return localStorage.getItem(THEME);
  } catch {
    return null;
  }
}

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : systemIsDark.matches;
}

function dress(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", `Change to the ${isDark() ? "light" : "dark"} theme`);
}

byId("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  stored(theme);
  dress(theme);
});
systemIsDark.addEventListener("change", () => dress(null));

for (const time of document.querySelectorAll("time")) time.textContent = dated(time.dateTime);
dress(["light", "dark"].find((theme) => theme === stored(null)));
add(data.entries);
