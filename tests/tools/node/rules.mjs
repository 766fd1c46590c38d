// html-validate's recommended rules, less what a mail cannot follow. Each exception has its reason.

// The attributes that mail programs lay out by, where they know no CSS for it (Outlook for Windows
// above all). All other deprecated attributes stay forbidden.
const laidOutBy = (...names) => ({
  attributes: Object.fromEntries(names.map((name) => [name, { deprecated: false }])),
});
const elements = [
  "html5",
  {
    table: laidOutBy("align", "bgcolor", "cellpadding", "cellspacing", "width"),
    tr: laidOutBy("valign"),
    td: laidOutBy("align", "bgcolor", "height", "valign", "width"),
    th: laidOutBy("align", "width"),
    col: laidOutBy("width"),
  },
];

const rules = {
  // The CSS is inlined on purpose: half the mail programs drop or cut style blocks.
  "no-inline-style": "off",
  // Outlook for Windows lays out with Word and is addressed in conditional comments.
  "no-conditional-comment": "off",
  // Every parser writes the tbody itself; some fifty of them would bring the mail nearer to the
  // size at which Gmail cuts it.
  "prefer-tbody": "off",
  // MJML writes `<div role="article">`: mail programs drop elements they do not know, not roles.
  "prefer-native-element": ["error", { exclude: ["article"] }],
  // The older of two words for the same role: older screen readers know no other.
  "presentation-role-style": ["error", { prefer: "presentation" }],
};

export const configuration = { root: true, extends: ["html-validate:recommended"], elements, rules };
