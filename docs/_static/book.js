/* Wide tables scroll by themselves; with a keyboard one must be able to reach them. */
document.addEventListener("DOMContentLoaded", () => {
  const wide = ".bd-article .pst-scrollable-table-container, .bd-article .cell_output .output";
  for (const box of document.querySelectorAll(wide)) {
    if (box.scrollWidth > box.clientWidth + 1) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "Scrolls sideways");
    }
  }
});
