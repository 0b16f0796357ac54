// Opens pages in a real Chromium and tells what it finds there: what axe-core says, which dialogs open, what is asked of the
// network, what the console complains about, which elements there are, and whether the page is wider than the window.
//
//   node browse.js < job.json      a JSON object a line on standard output, one per page and view
//
// job: {"chromium": path, "axe": true, "pages": [{"name": "a", "file": "/tmp/a.html"}], "views": [{"width": 320, "scheme": "dark"}]}
"use strict";

const fs = require("node:fs");
const url = require("node:url");
const axe = require("axe-core");
const puppeteer = require("puppeteer-core");

const RULES = {
    runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
    // Off unless asked for: the one rule of WCAG 2.2 that a program can check.
    rules: { "target-size": { enabled: true } },
    resultTypes: ["violations", "incomplete"],
};
const HEIGHT = 900;

async function main() {
    const job = JSON.parse(fs.readFileSync(0, "utf8"));
    const browser = await puppeteer.launch({
        executablePath: job.chromium,
        headless: true,
        args: [
            "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
            // A container runs as root, where Chromium's own sandbox cannot start.
            ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
        ],
    });
    try {
        const tab = await browser.newPage();
        // Our pages forbid every script. Without that second wall it shows whether the first one, the escaping, stands alone;
        // and axe-core can be put into the page.
        await tab.setBypassCSP(true);
        const seen = listen(tab);
        for (const page of job.pages) await visit(tab, seen, page, job);
    } finally {
        await browser.close();
    }
}

async function visit(tab, seen, { name, file }, job) {
    seen.start(url.pathToFileURL(file).href);
    await tab.goto(seen.address, { waitUntil: "load" });
    if (job.axe) await tab.evaluate(axe.source);
    for (const view of job.views) {
        await tab.setViewport({ width: view.width, height: HEIGHT });
        await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: view.scheme }]);
        const found = { ...(await tab.evaluate(look)), ...(job.axe ? await tab.evaluate(judge, RULES) : {}) };
        console.log(JSON.stringify({ name, ...view, ...found, ...seen.told() }));
    }
}

/** Collects what a page does beside being shown. */
function listen(tab) {
    const seen = {
        start(address) {
            Object.assign(seen, { address, dialogs: [], requests: [], complaints: [] });
        },
        told: () => ({ dialogs: seen.dialogs, requests: seen.requests, complaints: seen.complaints }),
    };
    tab.on("dialog", async (dialog) => {
        seen.dialogs.push(dialog.message());
        await dialog.dismiss();
    });
    tab.on("request", (request) => {
        const address = request.url();
        if (address !== seen.address && !address.startsWith("data:")) seen.requests.push(address);
    });
    tab.on("pageerror", (error) => seen.complaints.push(String(error)));
    tab.on("console", (message) => {
        if (["error", "warn", "warning"].includes(message.type())) seen.complaints.push(message.text());
    });
    return seen;
}

// The two below run inside the page.

function look() {
    const root = document.documentElement;
    return {
        elements: [...document.querySelectorAll("*")].map((e) => [e.localName, ...e.getAttributeNames()].join(" ")),
        overflow: root.scrollWidth - root.clientWidth,
        background: getComputedStyle(document.body).backgroundColor,
    };
}

async function judge(rules) {
    const brief = (found) =>
        found.flatMap(({ id, nodes }) =>
            nodes.map((node) => ({
                rule: id,
                target: node.target.flat().join(" "),
                html: node.html.slice(0, 200),
                reason: node.any.concat(node.all, node.none).map((check) => check.message).join("; ").slice(0, 300),
            })),
        );
    const { violations, incomplete, passes } = await axe.run(document, rules);
    return { violations: brief(violations), incomplete: brief(incomplete), passes: passes.map(({ id }) => id) };
}

main().catch((error) => {
    console.error(error);
    process.exit(2);
});
