"use strict";
// The page of `nstbatch serve`: sends uploads, and shows the latest jobs.

const PAUSE = 1000; // milliseconds between two looks at the jobs
let looks = 0;
const shown = new Map(); // the entries of the list by the ids of their jobs

const form = document.getElementById("form");
const said = document.getElementById("said");
const styles = document.getElementById("styles");
const own = document.getElementById("own");

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

async function sentence(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `The service answers ${answer.status}.`;
  }
}

function entry(job) {
  const item = element("li");
  item.append(element("p", job.name));
  if (job.result) {
    const link = element("a");
    link.href = job.result.picture;
    const image = element("img");
    image.src = job.result.picture;
    image.alt = job.name;
    image.loading = "lazy";
    link.append(image);
    item.append(link);
  } else {
    item.append(element("progress"));
  }
  item.append(element("p"));
  const button = element("button", "Remove");
  button.type = "button";
  button.addEventListener("click", async () => {
    await fetch(`jobs/${job.id}`, { method: "DELETE" });
    await look();
  });
  item.append(button);
  return item;
}

function state(job) {
  if (job.result) return `${job.result.width}x${job.result.height}, ${job.result.seconds} s`;
  if (job.state === "failed") return job.reason;
  if (job.state === "waiting") return `waiting, ${job.ahead} before it`;
  return job.progress ? `step ${job.progress.step} of ${job.progress.steps}` : "running";
}

function show(jobs) {
  const list = document.getElementById("jobs");
  const entries = jobs.map((job) => {
    const kind = job.result ? "result" : job.state;
    let known = shown.get(job.id);
    if (!known || known.kind !== kind) {
      known = { kind, item: entry(job) };
      shown.set(job.id, known);
    }
    known.item.querySelector("p:last-of-type").textContent = state(job);
    const bar = known.item.querySelector("progress");
    if (bar) bar.hidden = job.state === "failed";
    if (bar && job.progress) bar.value = job.progress.share;
    return known.item;
  });
  const ids = new Set(jobs.map((job) => job.id));
  for (const id of shown.keys()) if (!ids.has(id)) shown.delete(id);
  const isSame = entries.length === list.children.length
    && entries.every((item, index) => item === list.children[index]);
  if (!isSame) list.replaceChildren(...entries);
  document.getElementById("none").hidden = jobs.length > 0;
}

async function look() {
  const number = ++looks;
  const answer = await fetch("jobs?limit=60");
  const jobs = answer.ok ? await answer.json() : [];
  if (answer.ok && number === looks) show(jobs); // else a later look has overtaken this one
}

async function keepLooking() {
  try {
    await look();
  } catch {
    said.textContent = "The service does not answer.";
  }
  setTimeout(keepLooking, PAUSE);
}

styles.addEventListener("change", () => {
  own.hidden = styles.value !== "";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  if (styles.value) data.set("style", styles.value);
  for (const name of ["size", "iterations"]) if (!data.get(name)) data.delete(name);
  const answer = await fetch("jobs", { method: "POST", body: data });
  said.textContent = answer.ok ? "" : await sentence(answer);
  await look();
});

async function begin() {
  const names = await (await fetch("styles")).json();
  for (const name of names) styles.append(element("option", name));
  if (names.length) styles.value = names[0];
  own.hidden = styles.value !== "";
  await keepLooking();
}

begin();
