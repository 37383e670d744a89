// The verdict of the checks and the cause of a failure, in the language of the reader.
import type { Check, Page } from "./record";
import type { Language } from "./words/say";

export function checkIn(page: Page, language: Language): Check | null {
  const [own, translated] = [page.check ?? null, page.check_translated ?? null];
  return translated?.language === language ? translated : own;
}

/** The place of the line and its code: "broken.py, line 18, in forward", "return self.out_head(x)". */
export function failingLine(page: Page, language: Language): { place: string; code: string } {
  const english = page.trace.error?.source ?? "";
  const text = language === "zh" ? page.source_zh || english : english;
  const [, place = "", code = text] = /^(.*?, line \d+[^:]*): (.*)$/s.exec(text) ?? /^(.*? 第 \d+ 行[^：]*)：(.*)$/s.exec(text) ?? [];
  return { place, code };
}

export function diagnosisIn(page: Page, language: Language): string {
  const english = page.trace.error?.diagnosis ?? "";
  return language === "zh" ? page.diagnosis_zh || english : english;
}
