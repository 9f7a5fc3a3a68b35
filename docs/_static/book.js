/* Cells get the names of their columns, for phones. Wide tables scroll by themselves; with a
   keyboard one must be able to reach them. */
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".cell_output table:not(.dataframe)")) {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.innerText);
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, place) => (cell.dataset.column = names[place] ?? ""));
    }
  }
  const wide = ".bd-article .pst-scrollable-table-container, .bd-article .cell_output .output";
  for (const box of document.querySelectorAll(wide)) {
    if (box.scrollWidth > box.clientWidth + 1) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "Scrolls sideways");
    }
  }
});
