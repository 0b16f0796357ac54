// Judges pages of mails by the tables of caniemail.com: what is not shown, or only in part, by which program.
//
//   node cie.mjs < job.json      a JSON object a line on standard output, one per page
//
// job: {"clients": ["gmail.*"], "pages": [{"name": "a", "file": "/tmp/a.html"}]}
// line: {"name": "a", "findings": [{"severity": "errors", "title": "...", "clients": ["gmail.ios"], "notes": ["..."]}]}
import fs from "node:fs";
import { caniemail } from "caniemail";

const job = JSON.parse(fs.readFileSync(0, "utf8"));
for (const { name, file } of job.pages) {
    const { issues } = caniemail({ clients: job.clients, html: fs.readFileSync(file, "utf8") });
    console.log(JSON.stringify({ name, findings: ["errors", "warnings"].flatMap((severity) => gathered(severity, issues[severity])) }));
}

/** One finding per title, with the programs that it holds for. */
function gathered(severity, byClient) {
    const found = new Map();
    for (const [client, list] of byClient) {
        for (const { title, notes = [] } of list) {
            const one = found.get(title) ?? { severity, title, clients: [], notes: [] };
            one.clients.push(client);
            one.notes = [...new Set([...one.notes, ...notes])];
            found.set(title, one);
        }
    }
    return [...found.values()].map((one) => ({ ...one, clients: [...new Set(one.clients)].sort() }));
}
