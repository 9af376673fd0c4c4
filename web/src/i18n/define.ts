/** The messages of one part of the dashboard in each language; a language that lacks one doesn't compile. */
export function define<T extends Record<string, string>>(
  en: T,
  ko: Record<keyof T, string>,
): { en: T; ko: Record<keyof T, string> } {
  return { en, ko };
}
