import { type ReactNode, useEffect } from "react";
import { Link } from "react-router";

export interface Crumb {
  to: string;
  label: string;
}

interface Props {
  title: string;
  /** Beside the title: a state, tags. */
  beside?: ReactNode;
  crumbs?: Crumb[];
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: where one is, its title, what can be done with it. */
export function Page({ title, beside, crumbs, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Penstock`;
  }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <div className="grow">
          {crumbs && (
            <nav className="crumbs" aria-label="breadcrumb">
              {crumbs.map(({ to, label }) => (
                <span key={to}>
                  <Link to={to}>{label}</Link> /
                </span>
              ))}
            </nav>
          )}
          <div className="row wrap">
            <h1>{title}</h1>
            {beside}
          </div>
        </div>
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
