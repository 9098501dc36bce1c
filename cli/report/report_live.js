// News while the batch runs: newly finished pictures, and the progress of the current one.

const INTERVAL = 1000; // milliseconds between two requests, a guess

async function listen() {
  let newest = 0; // number of the last known line of the ledger
  for (;;) {
    let news;
    try {
      const answer = await fetch(`progress.json?after=${newest}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      news = await answer.json();
    } catch {
      return end("The batch has ended, and so has the server of this page.");
    }
    if (news.entries.length) add(news.entries);
    newest = news.newest;
    show(news);
    if (news.more) continue;
    if (news.ended) return end("The batch has ended.");
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

function show({ current, batch }) {
  byId("live-batch").value = batch.share;
  byId("live-summary").textContent = [
    `${batch.finished} of ${count(batch.pictures, "picture")}`,
    ...(batch.failed ? [`${batch.failed} failed`] : []),
    duration(batch.seconds),
    ...(batch.left === null ? [] : [`about ${roughly(batch.left)} left`]),
  ].join(" · ");
  if (!current) return;
  byId("live-name").textContent = current.name;
  byId("live-share").value = current.share;
  byId("live-facts").textContent = current.facts;
  showImage("live-photo", current.photo);
  showImage("live-painted", current.painted);
}

function showImage(id, uri) {
  const image = byId(id);
  image.hidden = !uri;
  if (uri && image.src !== uri) image.src = uri;
}

// An estimate of hours or minutes is too rough for seconds.
function roughly(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : duration(Math.ceil(seconds / 60) * 60).replace(" 00 s", "");
}

function end(text) {
  byId("live-name").textContent = text;
  byId("live-photo").hidden = true;
  byId("live-painted").hidden = true;
  byId("live-share").hidden = true;
  byId("live-facts").textContent = "To keep this page, run: nstbatch report OUTPUT_FOLDER";
}

listen();
