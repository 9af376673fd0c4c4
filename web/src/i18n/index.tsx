import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import { I18nProvider } from "react-aria-components";
import { en, ko } from "./messages";

export type Language = "en" | "ko";
export type MessageKey = keyof typeof en;
export type Values = { [name: string]: string | number };

const messages: Record<Language, Record<MessageKey, string>> = { en, ko };

/** The language of the browser if there is one of ours among those that it asks for. */
function preferred(): Language {
  const stored = localStorage.getItem("language");
  if (stored === "en" || stored === "ko") return stored;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith("ko")) ? "ko" : "en";
}

export interface Translator {
  language: Language;
  setLanguage(language: Language): void;
  /** The message of that key, its `{name}` replaced by the value of that name. */
  t(key: MessageKey, values?: Values): string;
  /** A date with its time, in the reader's own zone; an em dash for none. */
  time(iso: string | undefined): string;
  /** "3 min ago". */
  ago(iso: string | undefined): string;
  number(value: number, options?: Intl.NumberFormatOptions): string;
}

const Context = createContext<Translator | undefined>(undefined);

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

function translator(language: Language, setLanguage: (language: Language) => void): Translator {
  const table = messages[language];
  const times = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const relative = new Intl.RelativeTimeFormat(language, { style: "short", numeric: "auto" });
  return {
    language,
    setLanguage,
    t: (key, values) =>
      values === undefined
        ? table[key]
        : table[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)),
    time: (iso) => (iso === undefined ? "—" : times.format(new Date(iso))),
    ago: (iso) => {
      if (iso === undefined) return "—";
      const seconds = (Date.parse(iso) - Date.now()) / 1000;
      const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second" as const, 1];
      return relative.format(Math.trunc(seconds / size), unit);
    },
    number: (value, options) => new Intl.NumberFormat(language, options).format(value),
  };
}

export function Translations({ children }: { children: ReactNode }) {
  const [language, change] = useState(preferred);
  const value = useMemo(() => {
    document.documentElement.lang = language;
    return translator(language, (next) => {
      localStorage.setItem("language", next);
      change(next);
    });
  }, [language]);
  return (
    <I18nProvider locale={language}>
      <Context.Provider value={value}>{children}</Context.Provider>
    </I18nProvider>
  );
}

export function useTranslator(): Translator {
  const value = useContext(Context);
  if (value === undefined) throw new Error("useTranslator outside Translations");
  return value;
}
