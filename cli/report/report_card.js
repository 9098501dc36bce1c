// One picture of the gallery: before and after, its name, and the few facts that fit below it.

const EXTREME = { narrow: 0.45, wide: 2.8 }; // beyond these a picture gets bars beside it

function aspect(entry) {
  const own = entry.aspect ?? (entry.size ? entry.size[0] / entry.size[1] : 4 / 3);
  return Math.min(EXTREME.wide, Math.max(EXTREME.narrow, own));
}

function frame(entry) {
  const made = element("div", { className: "frame" });
  made.style.setProperty("--aspect", aspect(entry));
  return made;
}

// Returns the content of a frame; it is only made when the frame comes near the screen.
function picture(entry) {
  if (entry.before && entry.after) return [comparison(entry)];
  if (entry.after) {
    const missing = entry.has_photo ? ", after; the photo is missing" : "";
    return [alone(entry.after, `${entry.name}${missing}`)];
  }
  const reason = entry.status === "failed" ? entry.reason : "The picture no longer exists.";
  const heading = entry.status === "failed" ? "Failed" : "Missing";
  const notice = element(
    "div",
    { className: entry.before ? "notice over" : "notice" },
    element("strong", {}, heading),
    element("span", { className: "reason" }, reason),
  );
  return entry.before ? [alone(entry.before, "", "faded"), notice] : [notice];
}

function alone(src, alt, further = "") {
  return element("img", { className: `alone ${further}`, src, alt, decoding: "async" });
}

function comparison(entry) {
  const made = element("div", { className: "comparison" });
  const slider = element("input", { type: "range", min: 0, max: 100, step: "any", value: 50 });
  slider.setAttribute("aria-label", `Before and after: ${entry.name}`);
  const move = () => {
    made.style.setProperty("--split", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % photo`);
  };
  slider.addEventListener("input", move);
  slider.addEventListener("dblclick", () => openDetails(entry));
  move();
  made.append(
    element("img", { className: "after", src: entry.after, alt: `${entry.name}, after`, decoding: "async" }),
    element("img", { className: "before", src: entry.before, alt: "", decoding: "async" }),
    element("span", { className: "tag left" }, "before"),
    element("span", { className: "tag right" }, "after"),
    element("span", { className: "handle" }),
    slider,
  );
  return made;
}

function facts(entry) {
  if (entry.status === "failed") return entry.input; // the reason is above it
  const loss = entry.losses.total;
  return [duration(entry.seconds), ...(loss === undefined ? [] : [`loss ${digits(loss)}`])].join(" · ");
}

function card(entry) {
  const made = element("li", { className: `card ${entry.status}` });
  made.style.setProperty("--aspect", aspect(entry));
  const name = element("button", { type: "button", className: "name", title: entry.name }, entry.name);
  name.addEventListener("click", () => openDetails(entry));
  const caption = element("div", { className: "caption" }, name, element("p", {}, facts(entry)));
  made.append(frame(entry), caption);
  whenNear(made, () => {
    made.firstChild.append(...picture(entry));
    if (entry.curve.length > 1) caption.append(sparkline(entry.curve));
  });
  return made;
}

// ---- cards are filled when they come near the screen -----------------------------------------------

const waiting = new WeakMap();
const watcher = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      waiting.get(target)();
      waiting.delete(target);
    }
  },
  { rootMargin: "800px" }, // a guess: about a screen ahead
);

function whenNear(target, fill) {
  waiting.set(target, fill);
  watcher.observe(target);
}
