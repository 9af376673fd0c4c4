import type { ReactNode } from "react";
import {
  Button as AriaButton,
  type ButtonProps as AriaButtonProps,
  Tooltip,
  TooltipTrigger,
} from "react-aria-components";
import { Link } from "react-router";

type Look = "plain" | "primary" | "danger" | "quiet";

interface Props extends AriaButtonProps {
  look?: Look;
  small?: boolean;
  children: ReactNode;
}

const classes = (look: Look, small: boolean, icon: boolean) =>
  ["button", look !== "plain" && look, small && "small", icon && "icon"].filter(Boolean).join(" ");

export function Button({ look = "plain", small = false, children, ...rest }: Props) {
  return (
    <AriaButton {...rest} className={classes(look, small, false)}>
      {children}
    </AriaButton>
  );
}

/** A button that shows an icon alone: its name is read out, and shown when it is pointed at. */
export function IconButton({ label, look = "quiet", small = false, children, ...rest }: Props & { label: string }) {
  return (
    <TooltipTrigger delay={500}>
      <AriaButton {...rest} aria-label={label} className={classes(look, small, true)}>
        {children}
      </AriaButton>
      <Tooltip className="tooltip" offset={6}>
        {label}
      </Tooltip>
    </TooltipTrigger>
  );
}

/** A link to another page that looks as a button. */
export function LinkButton({ to, look = "plain", children }: { to: string; look?: Look; children: ReactNode }) {
  return (
    <Link to={to} className={classes(look, false, false)}>
      {children}
    </Link>
  );
}
