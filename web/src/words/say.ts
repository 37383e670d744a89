// Every text of the page is said in English and in Chinese; `{name}` stands for a value.

export type Language = "en" | "zh";
export type Said = readonly [english: string, chinese: string];
export type Values = Record<string, string | number>;
export type Say = (said: Said, values?: Values) => string;

/** Returns the function that says a text in a language. */
export function speaker(language: Language): Say {
  return ([english, chinese], values = {}) =>
    (language === "zh" ? chinese : english).replace(/\{(\w+)\}/g, (whole, name: string) =>
      String(values[name] ?? whole),
    );
}
