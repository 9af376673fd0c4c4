import { type FormEvent, type ReactNode, useState } from "react";
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

interface FormProps extends Props {
  /** The name of the button that submits. */
  action: string;
  /** Closes the dialog once it is done; what it throws is shown in it. */
  onSubmit(): Promise<unknown>;
}

/** A dialog that asks for something and then does it. */
export function FormDialog({ action, onSubmit, children, ...dialog }: FormProps) {
  const { t } = useTranslator();
  const { busy, problem, attempt } = useAttempt(onSubmit, dialog.onClose);
  function submit(event: FormEvent) {
    event.preventDefault();
    void attempt();
  }
  return (
    <Dialog {...dialog}>
      <form className="stack" onSubmit={submit}>
        {children}
        <Problem text={problem} />
        <div className="buttons">
          <Button onPress={dialog.onClose}>{t("action.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
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
  const { busy, problem, attempt } = useAttempt(onConfirm, onClose);
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <Problem text={problem} />
      <div className="buttons">
        <Button onPress={onClose} autoFocus>
          {t("action.cancel")}
        </Button>
        <Button look={danger ? "danger" : "primary"} isDisabled={busy} onPress={attempt}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}

/** Does the work once it is asked for, then `after`; while it is done it is busy, and what it throws is the problem. */
function useAttempt(work: () => Promise<unknown>, after: () => void) {
  const { t } = useTranslator();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  async function attempt() {
    setBusy(true);
    setProblem(undefined);
    try {
      await work();
      after();
    } catch (error) {
      setProblem(errorText(error, t));
      setBusy(false);
    }
  }
  return { busy, problem, attempt };
}

function Problem({ text }: { text: string | undefined }) {
  if (text === undefined) return null;
  return (
    <p role="alert" className="problem-text">
      {text}
    </p>
  );
}
