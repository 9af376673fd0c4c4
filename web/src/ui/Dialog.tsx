import { type ReactNode, useState } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useTranslator } from "../i18n";
import { Button } from "./Button";
import { errorText } from "./Notice";

interface Props {
  title: string;
  wide?: boolean;
  onClose(): void;
  children: ReactNode;
}

export function Dialog({ title, wide, onClose, children }: Props) {
  return (
    <ModalOverlay className="backdrop" isOpen isDismissable onOpenChange={(open) => !open && onClose()}>
      <Modal className={wide ? "modal wide" : "modal"}>
        <AriaDialog className="dialog">
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

interface ConfirmProps {
  title: string;
  action: string;
  danger?: boolean;
  onClose(): void;
  /** Closes the dialog once it is done; what it throws is shown in it. */
  onConfirm(): Promise<unknown>;
  children: ReactNode;
}

/** Asks before something is done that can't be undone. */
export function ConfirmDialog({ title, action, danger, onClose, onConfirm, children }: ConfirmProps) {
  const { t } = useTranslator();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  async function confirm() {
    setBusy(true);
    setProblem(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setProblem(errorText(error, t));
      setBusy(false);
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {problem !== undefined && (
        <p role="alert" className="problem-text">
          {problem}
        </p>
      )}
      <div className="buttons">
        <Button onPress={onClose} autoFocus>
          {t("action.cancel")}
        </Button>
        <Button look={danger ? "danger" : "primary"} isDisabled={busy} onPress={confirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
