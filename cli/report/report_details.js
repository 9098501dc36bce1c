// The dialog of one picture: larger, with all its facts.

const details = byId("details");
let opened = null;

function openDetails(entry) {
  opened = entry;
  byId("details-name").textContent = entry.name;
  const large = frame(entry);
  large.append(...picture(entry));
  byId("details-picture").replaceChildren(large);
  byId("details-facts").replaceChildren(...sections(entry));
  byId("details-facts").scrollTop = 0;
  const place = shown.indexOf(entry);
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place < 0 || place === shown.length - 1;
  if (!details.open) details.showModal();
}

function step(by) {
  const next = shown[shown.indexOf(opened) + by];
  if (opened && next) openDetails(next);
}

function sections(entry) {
  const run = document.querySelector(`template[data-run="${CSS.escape(entry.run)}"]`);
  return [
    entry.status === "failed" ? element("p", { className: "reason" }, entry.reason) : null,
    links(entry),
    known(entry),
    entry.curve.length > 1 ? section("Loss, on a logarithmic scale", chart(entry.curve)) : null,
    Object.keys(entry.losses).length ? section("Losses at the end, weighted", losses(entry)) : null,
    run ? section("Run", run.content.cloneNode(true)) : null,
  ].filter((part) => part !== null);
}

function section(heading, content) {
  return element("section", {}, element("h3", {}, heading), content);
}

function links(entry) {
  const link = (href, text) => {
    if (!href) return element("span", { className: "muted" }, `${text} is missing `);
    return element("a", { href, target: "_blank", rel: "noopener" }, `Open ${text.toLowerCase()}`);
  };
  const picture = entry.status === "done" ? link(entry.links.picture, "The picture") : null;
  const photo = entry.has_photo ? link(entry.links.photo, "The photo") : null;
  return element("p", { className: "links" }, picture, photo);
}

function known(entry) {
  const rows = [
    [entry.has_photo ? "Photo" : "Shows", entry.input, true],
    ["Size", entry.size && `${entry.size[0]}x${entry.size[1]}`],
    ["Time", duration(entry.seconds)],
    ["Steps", entry.steps && entry.steps.toLocaleString("en")],
    ["Device", entry.device],
    ["Finished", entry.time && dated(entry.time), true],
  ];
  const made = element("dl", { className: "facts" });
  for (const [name, value, wide] of rows) {
    const row = [element("dt", {}, name), element("dd", {}, String(value))];
    if (value) made.append(element("div", { className: wide ? "wide" : "" }, ...row));
  }
  return made;
}

function losses(entry) {
  const total = entry.losses.total ?? Object.values(entry.losses).reduce((sum, loss) => sum + loss, 0);
  const rows = Object.entries(entry.losses).map(([name, loss]) => {
    const bar = element("span");
    bar.style.width = `${Math.max(0, Math.min(1, loss / (total || 1))) * 100}%`;
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      element("td", { className: "number" }, digits(loss)),
      element("td", { className: "share" }, name === "total" ? "" : bar),
    );
  });
  return element("table", { className: "losses" }, element("tbody", {}, ...rows));
}

byId("close").addEventListener("click", () => details.close());
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
details.addEventListener("click", (event) => {
  if (event.target === details) details.close(); // a click beside the dialog
});
details.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
});
details.addEventListener("close", () => {
  cards.get(opened?.key)?.querySelector(".name").focus();
});
