import { useQuery } from "@tanstack/react-query";
import {
  Boxes,
  Brain,
  CalendarClock,
  Cpu,
  FlaskConical,
  FolderTree,
  HardDrive,
  Home,
  Languages,
  Menu as MenuIcon,
  Moon,
  NotebookPen,
  Package,
  PencilRuler,
  Play,
  Rocket,
  SlidersHorizontal,
  Sun,
  SunMoon,
  WifiOff,
  Workflow,
} from "lucide-react";
import { type ReactNode, Suspense, useEffect, useState, useSyncExternalStore } from "react";
import { NavLink, Outlet, useLocation } from "react-router";
import { featuresQuery } from "../api/overview";
import type { LiveUpdates } from "../api/stream";
import { type MessageKey, useTranslator } from "../i18n";
import { IconButton } from "../ui/Button";
import { Menu } from "../ui/Menu";
import { Loading } from "../ui/Notice";
import { Toasts } from "../ui/toasts";
import { type Theme, useTheme } from "./theme";

interface Section {
  title?: MessageKey;
  links: {
    to: string;
    label: MessageKey;
    icon: ReactNode;
    /** The part of the server that it needs: the link is there when the server has it. */
    needs?: string;
  }[];
}

const size = 16;
const sections: Section[] = [
  { links: [{ to: "/", label: "home.title", icon: <Home size={size} aria-hidden /> }] },
  {
    title: "nav.pipelines",
    links: [
      { to: "/pipelines", label: "pipelines.title", icon: <Workflow size={size} aria-hidden /> },
      { to: "/editor", label: "editor.title", icon: <PencilRuler size={size} aria-hidden /> },
      { to: "/experiments", label: "experiments.title", icon: <FlaskConical size={size} aria-hidden /> },
      { to: "/runs", label: "runs.title", icon: <Play size={size} aria-hidden /> },
      { to: "/recurring-runs", label: "recurring.title", icon: <CalendarClock size={size} aria-hidden /> },
    ],
  },
  {
    title: "nav.products",
    links: [
      { to: "/artifacts", label: "artifacts.title", icon: <Package size={size} aria-hidden /> },
      { to: "/models", label: "models.title", icon: <Brain size={size} aria-hidden />, needs: "models" },
      { to: "/objects", label: "objects.title", icon: <FolderTree size={size} aria-hidden />, needs: "objects" },
    ],
  },
  {
    title: "nav.more",
    links: [
      {
        to: "/resources/experiments.kubeflow.org",
        label: "nav.tuning",
        icon: <SlidersHorizontal size={size} aria-hidden />,
        needs: "tuning",
      },
      {
        to: "/resources/pytorchjobs.kubeflow.org",
        label: "nav.training",
        icon: <Cpu size={size} aria-hidden />,
        needs: "training",
      },
      {
        to: "/resources/inferenceservices.serving.kserve.io",
        label: "nav.serving",
        icon: <Rocket size={size} aria-hidden />,
        needs: "serving",
      },
      {
        to: "/resources/notebooks.kubeflow.org",
        label: "nav.notebooks",
        icon: <NotebookPen size={size} aria-hidden />,
        needs: "notebooks",
      },
      { to: "/storage", label: "storage.title", icon: <HardDrive size={size} aria-hidden /> },
      { to: "/resources", label: "resources.title", icon: <Boxes size={size} aria-hidden />, needs: "resources" },
    ],
  },
];

const themes: { id: Theme; label: MessageKey; icon: ReactNode }[] = [
  { id: "system", label: "theme.system", icon: <SunMoon size={size} aria-hidden /> },
  { id: "light", label: "theme.light", icon: <Sun size={size} aria-hidden /> },
  { id: "dark", label: "theme.dark", icon: <Moon size={size} aria-hidden /> },
];

export function Shell({ live }: { live: LiveUpdates }) {
  const { t, setLanguage } = useTranslator();
  const [theme, setTheme] = useTheme();
  const [navOpen, setNavOpen] = useState(false);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: going to another page closes the navigation
  useEffect(() => setNavOpen(false), [pathname]);
  const features = useQuery(featuresQuery);
  const has = (part: string | undefined) => part === undefined || (features.data?.sections[part] ?? false);
  const connection = useSyncExternalStore(live.subscribe, () => live.connection);
  return (
    <div className="shell">
      <a className="skip-link" href="#main">
        {t("nav.skip")}
      </a>
      <header className="bar">
        <span className="nav-toggle">
          <IconButton label={t("nav.toggle")} onPress={() => setNavOpen(!navOpen)}>
            <MenuIcon size={18} aria-hidden />
          </IconButton>
        </span>
        <NavLink to="/" className="brand">
          <img src="/icon.svg" width={22} height={22} alt="" />
          Penstock
        </NavLink>
        <span className="grow" />
        <Menu
          label={t("language.label")}
          iconOnly
          entries={[
            { id: "en", label: "English", onAction: () => setLanguage("en") },
            { id: "ko", label: "한국어", onAction: () => setLanguage("ko") },
          ]}
        >
          <Languages size={17} aria-hidden />
        </Menu>
        <Menu
          label={t("theme.label")}
          iconOnly
          entries={themes.map(({ id, label, icon }) => ({ id, label: t(label), icon, onAction: () => setTheme(id) }))}
        >
          {themes.find(({ id }) => id === theme)?.icon}
        </Menu>
      </header>
      <nav className={navOpen ? "nav open" : "nav"} aria-label={t("nav.label")}>
        {sections.map(({ title, links }) => (
          <div key={title ?? "first"}>
            {title && <h2>{t(title)}</h2>}
            <ul>
              {links
                .filter(({ needs }) => has(needs))
                .map(({ to, label, icon }) => (
                  <li key={to}>
                    <NavLink to={to} end={to === "/"}>
                      {icon}
                      {t(label)}
                    </NavLink>
                  </li>
                ))}
            </ul>
          </div>
        ))}
      </nav>
      <main className="main" id="main">
        {connection === "lost" && (
          <div className="offline" role="status">
            <WifiOff size={15} aria-hidden />
            {t("error.lost")}
          </div>
        )}
        <Suspense fallback={<Loading />}>
          <Outlet />
        </Suspense>
      </main>
      <Toasts />
    </div>
  );
}
