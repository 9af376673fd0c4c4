import type { ReactNode } from "react";
import { Menu as AriaMenu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { Button, IconButton } from "./Button";

export interface MenuEntry {
  id: string;
  label: string;
  icon?: ReactNode;
  isDisabled?: boolean;
  onAction(): void;
}

interface Props {
  label: string;
  entries: MenuEntry[];
  /** What the button shows; with `iconOnly` the label is its name alone. */
  children: ReactNode;
  iconOnly?: boolean;
}

export function Menu({ label, entries, children, iconOnly }: Props) {
  return (
    <MenuTrigger>
      {iconOnly ? <IconButton label={label}>{children}</IconButton> : <Button aria-label={label}>{children}</Button>}
      <Popover className="popover" placement="bottom end">
        <AriaMenu className="menu" aria-label={label}>
          {entries.map(({ id, label, icon, isDisabled, onAction }) => (
            <MenuItem
              key={id}
              id={id}
              className="menu-item"
              isDisabled={isDisabled}
              onAction={onAction}
              textValue={label}
            >
              {icon}
              {label}
            </MenuItem>
          ))}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}
