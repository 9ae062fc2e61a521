// SPDX-License-Identifier: BSD-3-Clause
// What a page can do beyond being read: tell where a value comes from, and step through time.
// A value is named quantity.layer.direction.step.sequence; lines that compute one have its
// name as their id.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const valueAt = (target) => target.closest?.("[data-v]");
  const keyOf = (element) => element.getAttribute("data-v");
  document.documentElement.classList.add("live");

  const copies = new Map(); // of each value, in reading order
  for (const element of all("[data-v]")) {
    const key = keyOf(element);
    if (!copies.has(key)) copies.set(key, []);
    copies.get(key).push(element);
  }
  const nodes = all(".node");
  const isPrinted = (element) => !element.classList.contains("node");

  // --- what a value is --------------------------------------------------------------

  function parts(key) {
    const [sequence, step, direction, layer, ...quantity] = key.split(".").reverse();
    return { quantity: quantity.reverse().join("."), layer, direction, step, sequence };
  }

  const known = [...copies.keys()].map(parts);
  const several = {
    layer: known.some((part) => Number(part.layer) > 0),
    direction: known.some((part) => part.direction === "reverse"),
    sequence: known.some((part) => Number(part.sequence) > 0),
  };

  function words(key) {
    const { quantity, layer, direction, step, sequence } = parts(key);
    const initial =
      step === "-1" || (copies.get(key) ?? []).some((e) => e.classList.contains("initial"));
    const found = [];
    if (several.layer && !(quantity === "x" && layer === "0")) found.push(`layer ${Number(layer) + 1}`);
    if (several.direction && direction) found.push(`${direction} direction`);
    if (initial) found.push("initial state");
    else if (step !== "") found.push(`step ${Number(step) + 1}`);
    if (several.sequence && sequence !== "") found.push(`sequence ${Number(sequence) + 1}`);
    return found.join(", ");
  }

  // The line that computes a value, or else the first in which it is given.
  function lineOf(key) {
    const line = document.getElementById(key);
    return line ?? (copies.get(key) ?? []).find(isPrinted)?.closest(".line, tr");
  }

  function symbolOf(key, line) {
    if (line?.id === key) {
      let row = line;
      while (row && !one(".left math", row)) row = row.previousElementSibling;
      if (row) return one(".left math", row).cloneNode(true);
    }
    const relation = (copies.get(key) ?? []).find(isPrinted)?.previousElementSibling;
    const symbol = relation?.localName === "mo" ? relation.previousElementSibling : null;
    if (symbol) {
      const math = document.createElementNS("http://www.w3.org/1998/Math/MathML", "math");
      math.append(symbol.cloneNode(true));
      return math;
    }
    const name = document.createElement("code");
    name.textContent = parts(key).quantity;
    return name;
  }

  function headings(element) {
    const found = [];
    for (let s = element.closest("section"); s; s = s.parentElement.closest("section")) {
      found.unshift(one("h2, h3, h4, h5, h6", s).textContent);
    }
    return found.join(", ");
  }

  // --- the panel --------------------------------------------------------------------

  const panel = one(".origin");
  const status = one("[role=status]", panel);
  const links = one(".links", panel);
  const link = one("a", links);
  const map = one(".map", panel);
  const state = { key: null, pinned: false, back: null, timer: 0 };
  panel.hidden = false;

  function clear() {
    for (const element of all(".same, .into, .from")) element.classList.remove("same", "into", "from");
  }

  function hide() {
    clearTimeout(state.timer);
    clear();
    Object.assign(state, { key: null, pinned: false });
    panel.classList.add("idle");
    links.hidden = true;
    map.setAttribute("hidden", "");
    status.replaceChildren();
  }

  function show(element, pinned = false) {
    clearTimeout(state.timer);
    const key = keyOf(element);
    state.pinned = pinned;
    state.back = element;
    if (key === state.key) return;
    state.key = key;
    clear();
    for (const copy of copies.get(key)) copy.classList.add("same");
    drawMap(light(key));
    tell(key);
  }

  function tell(key) {
    const line = lineOf(key);
    const text = words(key);
    status.replaceChildren(symbolOf(key, line), text && `, ${text}`);
    links.hidden = !line;
    panel.classList.remove("idle");
    if (!line) return;
    const isGiven = line.id !== key;
    if (!line.id) line.id = `given-${key}`;
    link.href = `#${line.id}`;
    link.textContent = `${isGiven ? "Given in" : "Computed in"} ${headings(line) || "the text"}`;
  }

  // Mark the nodes of a value, and what they are computed from. A gate has no node of its
  // own: it belongs to the state of its step.
  function light(key) {
    const place = key.slice(key.indexOf("."));
    const exact = nodes.filter((node) => keyOf(node) === key);
    const here = exact.length
      ? exact
      : nodes.filter((node) => node.matches(".state") && keyOf(node)?.endsWith(place));
    for (const node of here) {
      node.classList.add("same");
      const name = node.getAttribute("data-key");
      for (const edge of all(".edge", node.parentElement)) {
        if (edge.getAttribute("data-head") !== name) continue;
        edge.classList.add("into");
        const tail = edge.getAttribute("data-tail");
        all(".node", node.parentElement)
          .find((other) => other.getAttribute("data-key") === tail)
          .classList.add("from");
      }
    }
    return here[0]?.closest("svg");
  }

  function drawMap(drawing) {
    map.toggleAttribute("hidden", !drawing);
    if (!drawing) return;
    map.setAttribute("viewBox", drawing.getAttribute("viewBox"));
    one("use", map).setAttribute("href", `#${one("g", drawing).id}`);
  }

  function hideSoon() {
    clearTimeout(state.timer);
    if (!state.pinned && state.key) state.timer = setTimeout(hide, 800);
  }

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const element = valueAt(event.target);
    if (panel.contains(event.target)) clearTimeout(state.timer);
    else if (element && !state.pinned) show(element);
    else hideSoon();
  });

  document.addEventListener("click", (event) => {
    const element = valueAt(event.target);
    if (element) show(element, !(state.pinned && state.key === keyOf(element)));
    else if (!panel.contains(event.target)) hide();
  });

  one("button", links).addEventListener("click", () => {
    state.back?.focus();
    hide();
  });

  // --- from the keyboard: a block is one stop, arrows move between its values --------

  const MOVES = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  function move(block, key) {
    const values = all("[data-v]", block);
    if (!values.length) return false;
    const at = values.indexOf(document.activeElement);
    let next = at + MOVES[key];
    if (key === "Home" || (at < 0 && MOVES[key] > 0)) next = 0;
    if (key === "End" || (at < 0 && MOVES[key] < 0)) next = values.length - 1;
    const value = values[Math.max(0, Math.min(next, values.length - 1))];
    value.setAttribute("tabindex", "-1");
    value.focus();
    value.scrollIntoView({ block: "nearest", inline: "nearest" });
    return true;
  }

  document.addEventListener("focusin", (event) => {
    const element = valueAt(event.target);
    if (element) show(element);
    else if (!panel.contains(event.target)) hide();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const block = event.target.closest(".wide");
    const element = valueAt(event.target);
    if (event.key === "Escape" && state.key) {
      const inside = panel.contains(event.target);
      const back = inside ? state.back : element && block;
      back?.focus(); // which shows the value again
      hide();
    } else if ((event.key === "Enter" || event.key === " ") && element) {
      show(element, true);
      if (!links.hidden) link.focus();
      event.preventDefault();
    } else if (block && (event.key in MOVES || event.key === "Home" || event.key === "End")) {
      if (move(block, event.key)) event.preventDefault();
    }
  });

  // --- time ---------------------------------------------------------------------------

  const form = one(".time");
  if (!form) return hide();
  const sections = all("[data-step]");
  const stepOf = (section) => Number(section.getAttribute("data-step"));
  const steps = [...new Set(sections.map(stepOf))].sort((a, b) => a - b);
  const slider = one("input", form);
  const output = one("output", form);
  const everything = one("button", form);
  slider.max = String(steps.length);  // 0 is all of them
  form.hidden = false;

  function choose(step) {
    const isAll = step === null;
    for (const section of sections) section.classList.toggle("away", !isAll && stepOf(section) !== step);
    for (const node of nodes) node.classList.toggle("now", node.getAttribute("data-at") === String(step));
    everything.setAttribute("aria-pressed", String(isAll));
    output.textContent = isAll ? "all" : String(step + 1);
    slider.value = isAll ? "0" : String(steps.indexOf(step) + 1);
    slider.setAttribute("aria-valuetext", isAll ? "all steps" : `step ${step + 1}`);
  }

  function chosen(step) {
    choose(step);
    history.replaceState(null, "", step === null ? "#all" : `#step-${step + 1}`);
  }

  // A link to a step chooses it; one to something that is hidden chooses its step.
  function followHash() {
    const name = decodeURIComponent(location.hash.slice(1));
    const step = Number(name.match(/^step-(\d+)$/)?.[1] ?? 0) - 1;
    const target = document.getElementById(name);
    const away = target?.closest(".away");
    if (name === "all") choose(null);
    else if (steps.includes(step)) choose(step);
    else if (away) choose(stepOf(away));
    target?.scrollIntoView();
  }

  slider.addEventListener("input", () => chosen(steps[Number(slider.value) - 1] ?? null));
  everything.addEventListener("click", () => {
    const isAll = everything.getAttribute("aria-pressed") === "true";
    chosen(isAll ? steps[0] : null);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", followHash);
  choose(null);
  hide();
  followHash();
})();
