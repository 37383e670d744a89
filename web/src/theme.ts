// Dark or light: the reader's choice, then that of the host (VS Code, Jupyter, Sphinx), then the system's.
import type { Theme } from "./state";

const SYSTEM = "(prefers-color-scheme: dark)";

/** The choice that was made when the page was written. */
const WRITTEN = document.documentElement.dataset.theme;

/** Keeps <html data-theme> right until the returned function is called. */
export function followTheme(choice: Theme): () => void {
  const apply = () => {
    document.documentElement.dataset.theme =
      choice === "auto" ? (writtenTheme() ?? hostTheme() ?? systemTheme()) : choice;
  };
  apply();
  const system = matchMedia(SYSTEM);
  system.addEventListener("change", apply);
  const observer = new MutationObserver(apply);
  for (const element of switches()) {
    observer.observe(element, {
      attributeFilter: ["class", "data-theme", "data-jp-theme-light", "data-vscode-theme-kind"],
    });
  }
  return () => {
    system.removeEventListener("change", apply);
    observer.disconnect();
  };
}

function writtenTheme(): "dark" | "light" | null {
  return WRITTEN === "dark" || WRITTEN === "light" ? WRITTEN : null;
}

function systemTheme(): "dark" | "light" {
  return matchMedia(SYSTEM).matches ? "dark" : "light";
}

/** The elements whose attributes say which theme the host has: our own body, and the page around a frame. */
function switches(): Element[] {
  const found: Element[] = [document.body];
  try {
    if (parent !== window) found.push(parent.document.body, parent.document.documentElement);
  } catch {
    // The page around the frame is of another origin.
  }
  return found;
}

function hostTheme(): "dark" | "light" | null {
  for (const element of switches()) {
    const jupyter = element.getAttribute("data-jp-theme-light");
    if (jupyter !== null) return jupyter === "false" ? "dark" : "light";
    const named = `${element.getAttribute("data-vscode-theme-kind") ?? ""} ${element.className}`;
    if (/vscode-(dark|high-contrast(?!-light))/.test(named)) return "dark";
    if (/vscode-(light|high-contrast-light)/.test(named)) return "light";
    const sphinx = element.getAttribute("data-theme");
    if (sphinx === "dark" || sphinx === "light") return sphinx;
  }
  return null;
}
