"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  document.documentElement.classList.add("js");

  // A choice shows the blocks that have its value: data-view, data-metric and
  // data-loss. Blocks without the attribute are always shown.
  const choices = all("select[data-choice]");
  const names = choices.map((c) => c.dataset.choice);
  const show = () => {
    for (const block of all(names.map((n) => `[data-${n}]`).join(",") || "none")) {
      block.hidden = choices.some((c) => {
        const value = block.dataset[c.dataset.choice];
        return value !== undefined && value !== c.value;
      });
    }
    // A loss that the view lacks leaves no chart: say so.
    for (const group of all("[data-group]")) {
      const empty = all(".panels", group).every((p) => p.closest("[hidden]"));
      const note = group.querySelector(".absent");
      if (note) note.hidden = !empty;
    }
  };
  for (const c of choices) c.addEventListener("change", show);

  // Boxes take stacks and profiles out. In stacked bars they only fade, as the
  // rows around them stay in place.
  const filter = () => {
    for (const kind of ["stack", "profile"]) {
      const off = new Set(all(`input[data-only="${kind}"]`).filter((b) => !b.checked).map((b) => b.value));
      for (const e of all(`[data-${kind}]`)) {
        const out = off.has(e.dataset[kind]);
        if (e.matches("g.row")) e.classList.toggle("faded", out);
        else e.style.display = out ? "none" : "";
      }
    }
  };
  for (const b of all("input[data-only]")) b.addEventListener("change", filter);

  const tip = document.getElementById("tip");
  let shown = null;
  const place = (e, x, y) => {
    shown = e;
    tip.textContent = e.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 12, innerWidth - box.width - 4)) + "px";
    tip.style.top = (y + 16 + box.height > innerHeight ? Math.max(4, y - box.height - 10) : y + 16) + "px";
  };
  const hide = () => { shown = null; tip.hidden = true; };
  document.addEventListener("pointermove", (ev) => {
    const e = ev.target.closest ? ev.target.closest("[data-tip]") : null;
    if (e) place(e, ev.clientX, ev.clientY); else if (shown) hide();
  });
  document.addEventListener("click", (ev) => {
    const e = ev.target.closest("[data-tip]");
    if (e) place(e, ev.clientX, ev.clientY); else hide();
  });
  document.addEventListener("focusin", (ev) => {
    const e = ev.target.closest("[data-tip]");
    if (e) { const r = e.getBoundingClientRect(); place(e, r.left, r.bottom); }
  });
  addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (ev) => { if (ev.key === "Escape") hide(); });

  for (const table of all("table.all")) {
    const heads = all("thead th", table);
    const sort = (column) => {
      const up = heads[column].getAttribute("aria-sort") !== "ascending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => {
        const cell = row.cells[column];
        return cell.dataset.v === undefined ? cell.textContent : parseFloat(cell.dataset.v);
      };
      const rows = all("tbody tr", table);
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        // Cells without a number go last either way.
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        const order = typeof x === "number" ? x - y : x.localeCompare(y);
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    };
    heads.forEach((h, i) => {
      h.tabIndex = 0;
      h.addEventListener("click", () => sort(i));
      h.addEventListener("keydown", (ev) => { if (ev.key === "Enter") sort(i); });
    });
  }

  // Print has no folds.
  addEventListener("beforeprint", () => all("main details:not(.controls details)").forEach((d) => { d.open = true; }));
  show();
})();
