import { Search, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslator } from "../i18n";

interface Props {
  label: string;
  value: string;
  onChange(value: string): void;
  /** Tells of a change so long after the last key, in milliseconds. */
  delay?: number;
  placeholder?: string;
}

export function SearchField({ label, value, onChange, delay = 250, placeholder }: Props) {
  const { t } = useTranslator();
  const [text, setText] = useState(value);
  const told = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (value !== told.current) {
      told.current = value;
      setText(value);
    }
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  function change(next: string, after: number) {
    setText(next);
    clearTimeout(timer.current);
    const tell = () => {
      told.current = next;
      onChange(next);
    };
    if (after === 0) tell();
    else timer.current = setTimeout(tell, after);
  }
  return (
    <div className="search">
      <Search size={14} aria-hidden className="muted" />
      <input
        type="search"
        aria-label={label}
        placeholder={placeholder ?? label}
        value={text}
        onChange={(event) => change(event.target.value, delay)}
        onKeyDown={(event) => event.key === "Enter" && change(text, 0)}
      />
      {text !== "" && (
        <button
          type="button"
          className="button quiet icon small"
          aria-label={t("action.clear")}
          onClick={() => change("", 0)}
        >
          <X size={13} aria-hidden />
        </button>
      )}
    </div>
  );
}
