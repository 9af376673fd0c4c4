import { useState } from "react";

export type Theme = "system" | "light" | "dark";

function stored(): Theme {
  const value = localStorage.getItem("theme");
  return value === "light" || value === "dark" ? value : "system";
}

export function applyTheme(theme: Theme = stored()): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, change] = useState(stored);
  return [
    theme,
    (next) => {
      localStorage.setItem("theme", next);
      applyTheme(next);
      change(next);
    },
  ];
}
